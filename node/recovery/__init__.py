"""Recover 恢复 a node whose database was lost or restored from a backup."""
