"""The web service 网络服务 of a node: the API and the pages (docs/contract.md §5)."""
