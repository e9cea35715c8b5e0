"""A producer that can be closed 生产者: kafka-python's, which cannot while records are unanswered.

Its `close` first flushes, and if that fails it raises and does nothing more: the thread lives on
with all that was queued, and sends it when the broker is back, beside and behind whatever its
successor sends. Each session that failed left such a one behind, with its megabytes.
"""

from __future__ import annotations

from kafka import KafkaProducer
from kafka.errors import KafkaError


class Producer(KafkaProducer):  # type: ignore[misc]
    """Closed is closed: nothing is sent any more, and what was unanswered stays so."""

    def close(self, timeout: float | None = None, null_logger: bool = False) -> None:
        """As the library's; if records are unanswered after `timeout` they are given up."""
        try:
            super().close(timeout, null_logger)
        except KafkaError:
            self._closed = True
            self._sender.force_close()
            self._sender.join(timeout)
