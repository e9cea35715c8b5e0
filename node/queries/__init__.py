"""Queries 查询 over the node's tables: fixed SQL, used by commands, pages, metrics and routines."""
