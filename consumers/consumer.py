"""The consumer 接收端 of a node as a worker: it opens a session with all that the session needs."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from kafka import errors as kafka_errors

from consumers.apply_batch import BatchApplier
from consumers.dead_letters import DeadLetterTopic
from consumers.group_membership import Assignment, join, renamed
from consumers.policy import DEFAULT_POLICY, ConsumerPolicy
from consumers.session import ConsumerSession
from node.kafka import clients
from node.postgres.connection import Database
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop
from schemas.instants import Clock, now_micros


class Consumer:
    """Applies the events of other nodes to this one; a worker for `node.runtime.supervisor`."""

    name = "consumer"

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        clock: Clock = now_micros,
        instance: str | None = None,
        policy: ConsumerPolicy = DEFAULT_POLICY,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._instance = instance
        self._policy = policy

    def session(self, stop: Stop) -> None:
        """Consume until `stop`; raises `Fatal`, or a Kafka error when the group cannot be joined.

        While Postgres is away the session waits without leaving the group.
        """
        try:
            with self._opened() as session:
                session.run(stop)
        except kafka_errors.FencedInstanceIdError:
            self._instance = renamed(self._instance)

    @contextmanager
    def _opened(self) -> Iterator[ConsumerSession]:
        settings, metrics, policy = self._settings, self._metrics, self._policy
        with ExitStack() as stack:
            client = clients.consumer(
                settings, fetch_wait_ms=policy.fetch_wait_ms, instance=self._instance
            )
            stack.callback(client.close, autocommit=False, timeout_ms=policy.leave_ms)
            assignment = Assignment(client)
            database = stack.enter_context(closing(Database(settings, "consumer")))
            join(client, settings, assignment, database)
            metrics.dependency_up.labels("kafka").set(1)
            dead_letters = stack.enter_context(closing(DeadLetterTopic(settings)))
            session = ConsumerSession(
                *(settings, metrics, self._clock, policy, client, assignment, database),
                stack.enter_context(closing(Database(settings, "precompute"))),
                BatchApplier(settings, metrics, self._clock, database, dead_letters),
            )
            stack.callback(session.drop)
            yield session
