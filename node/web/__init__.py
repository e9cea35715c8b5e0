"""The web service 网络服务 of a node: the API and the pages (CONTRACT §5)."""
