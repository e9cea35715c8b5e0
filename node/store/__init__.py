"""The node's tables 存储: only this package writes events."""
