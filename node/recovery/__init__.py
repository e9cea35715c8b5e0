"""Recovery 恢复 of a node whose database was lost or restored from a backup."""
