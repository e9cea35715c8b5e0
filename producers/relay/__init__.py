"""The relay 中继: outbox → Kafka."""
