"""The vocabulary of the domain 业务词汇: event types, and the commands that become events."""
