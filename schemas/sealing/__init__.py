"""The petitioner's personal data 密封: sealed for named nodes, unreadable for all others."""
