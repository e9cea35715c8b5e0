"""Where a process is entered 入口: the only code that imports producers and consumers."""
