"""The relay 中继 publishes the outbox to Kafka."""
