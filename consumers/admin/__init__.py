"""Operators resolve dead letters here, and offsets that Kafka cannot serve 运维处置."""
