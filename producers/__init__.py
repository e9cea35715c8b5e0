"""From a command to a topic: command → ledger, case, outbox → relay → Kafka 发送侧."""
