"""A process of a node 进程: settings, errors, clock, metrics, and its supervised life."""
