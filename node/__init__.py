"""The runtime that producers and consumers share 节点运行环境."""
