"""Kafka 消息: clients, the record format, and the names of topics."""
