"""The declared topics 主题: read from a file, compared with the cluster, applied to it."""
