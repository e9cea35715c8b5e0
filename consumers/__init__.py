"""From a topic to the database: poll → decode → one transaction → commit 接收侧."""
