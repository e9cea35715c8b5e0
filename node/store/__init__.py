"""The node's tables 存储: events are written here, and nowhere else."""
