"""The consumer 接收侧: poll a topic, decode, apply in one transaction, commit."""
