"""What an operator does with dead letters and with offsets that Kafka cannot serve 运维处置."""
