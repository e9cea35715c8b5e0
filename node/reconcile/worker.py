"""The reconciler 核对 proves on a schedule that nothing is lost between this node and its peers.

1. Listen to the peers, and answer for the node.
2. Add up the changes of digests and accounts.
3. Send each peer an account of this side of the link, soon after something was applied.
4. A province begins a round with the centre on a schedule; the centre answers.
5. Set the metrics.

Only the process that holds the advisory lock does this.
"""

import logging
import os
import socket
import time
from contextlib import closing
from datetime import date, timedelta

from cases.nodes import NATIONAL
from node.kafka.topic_names import topic_between
from node.postgres.advisory_lock import Lock, try_lock
from node.postgres.connection import Connection, connect, own_database
from node.postgres.snapshot import snapshot
from node.postgres.synchronous_standby import refuse_while_unconfirmed
from node.reconcile import flow_audit, receipts
from node.reconcile.control_channel import Channel, NoControlTopic
from node.reconcile.initiator import Round
from node.reconcile.message_intake import Intake
from node.reconcile.session import Conversation
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop
from node.store import clock_skew, digests, flow_counts
from node.store.flow_counts import day_of
from node.store.lost_events import number_lost
from schemas.instants import Clock, now_micros

log = logging.getLogger(__name__)

_TRY_SECONDS = 1.0
_LOOK_SECONDS = 30.0  # until topics are looked for again, if there are none
_STALE_SECONDS = 900.0  # the same, if those of some nodes are missing
_LISTEN_SECONDS = 0.25
_FOLD_SECONDS = 5.0
# A receipt follows what it confirms by about this time.
_MOVED_SECONDS = 1.0
_MEASURE_SECONDS = 15.0
# A whole account makes up for lost ones; it comes soon after the peer has applied something.
_WHOLE_SECONDS = 15.0
_SOON_SECONDS = 2.0
# A round without answers is given up: the next one repeats it.
_ROUND_SECONDS = 60.0
# While the ledger lacks events, a peer that is away must not delay those that have them.
_LOST_ROUND_SECONDS = 10.0
_FIRST_ROUND_SECONDS = 3.0
_LOOK_AGAIN_SECONDS = 20.0
_POSITIONS = """
    select topic, string_agg(partition || ':' || next_offset, ' ' order by partition)
    from consumer_offset group by topic
"""


class Reconciler:
    """A worker for `node.runtime.supervisor` that answers on the control topics for the node."""

    name = "reconciler"

    def __init__(self, settings: Settings, metrics: Metrics, clock: Clock = now_micros) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock

    def session(self, stop: Stop) -> None:
        """Work until `stop`, once this process holds the lock."""
        with closing(connect(self._settings.dsn, "reconciler")) as connection:
            with connection, connection.cursor() as cursor:
                own_database(cursor, self._settings.node)
                refuse_while_unconfirmed(cursor)
            while not stop.is_set() and not _try_reconciler_lock(connection):
                stop.wait(_TRY_SECONDS)
            if stop.is_set():
                return
            try:
                self._work_until(stop, connection)
            except NoControlTopic as error:
                # The node need not stop, and Kafka is not away.
                log.warning("reconciler: %s", error)
                stop.wait(_LOOK_SECONDS)

    def _work_until(self, stop: Stop, connection: Connection) -> None:
        with Channel(self._settings, "reconciler") as channel:
            duties = _Duties(self._settings, self._metrics, connection, channel, self._clock)
            opened = time.monotonic()
            try:
                while not stop.is_set() and not _is_stale(channel, opened):
                    duties.turn()
            finally:
                flow_audit.clear_gauges(self._metrics)


def _is_stale(channel: Channel, opened: float) -> bool:
    return channel.lacks_topics and time.monotonic() - opened > _STALE_SECONDS


def _try_reconciler_lock(connection: Connection) -> bool:
    with connection, connection.cursor() as cursor:
        return try_lock(cursor, Lock.RECONCILER)


class _Duties:
    """The state of a session: what is due when, and the open round."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        connection: Connection,
        channel: Channel,
        clock: Clock,
    ) -> None:
        self._node = settings.node
        self._metrics = metrics
        self._connection = connection
        self._channel = channel
        self._period = settings.reconcile_seconds
        driver = f"{socket.gethostname()}-{os.getpid()}-{time.monotonic_ns() % 1_000_000}"
        intake = Intake(metrics, channel.peers)
        self._conversation = Conversation(
            settings.node, driver[-64:], connection, channel, answers=True, intake=intake
        )
        self._clock = clock
        now = time.monotonic()
        self._fold_due = self._moved_due = self._measure_due = now
        self._round_due = now + _FIRST_ROUND_SECONDS
        self._told: dict[str, str] = {}
        self._whole_at: dict[str, float] = {}
        self._open: tuple[Round, float] | None = None
        self._queue: list[str] = []
        self._cycle: list[bool] = []  # for each round of the present cycle, whether it was equal
        self._recovering = False
        self._lost = 0

    def turn(self) -> None:
        """Do what is due now; listening sets the pace."""
        self._conversation.listen(_LISTEN_SECONDS)
        now = time.monotonic()
        if now >= self._measure_due:
            self._measure_due = now + _MEASURE_SECONDS
            self._measure()
        if now >= self._fold_due:
            self._fold_due = now + _FOLD_SECONDS
            self._fold()
        if now >= self._moved_due:
            self._moved_due = now + _MOVED_SECONDS
            self._tell(now)
        self._reconcile(now)

    def _measure(self) -> None:
        """Compare our clock with the broker's; save the skew for all processes of the node."""
        if self._channel.peers:
            ahead = self._channel.clock_ahead(self._channel.peers[0], self._clock)
            if ahead is not None:
                with self._connection, self._connection.cursor() as cursor:
                    clock_skew.note(cursor, ahead, self._clock())

    def _fold(self) -> None:
        with self._connection, self._connection.cursor() as cursor:
            digests.compact(cursor)
            flow_counts.compact(cursor)
        if self._conversation.is_recovering() and not self._recovering:
            self._recovering, self._cycle = True, []
            self._round_due = time.monotonic()
        self._look_for_lost()
        with snapshot(self._connection) as cursor:
            flow_audit.show_gauges(cursor, self._metrics, self._node, self._channel.peers)

    def _look_for_lost(self) -> None:
        """Begin a round at once if the scrub has found that the ledger lacks more than before."""
        with self._connection, self._connection.cursor() as cursor:
            lost = number_lost(cursor)
        if lost > self._lost:
            self._round_due = time.monotonic()
        self._lost = lost

    def _tell(self, now: float) -> None:
        """Send accounts to the peers whose records were applied since the last one, and whole ones
        from time to time, or soon after a peer has applied ours."""
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(_POSITIONS)
            positions: dict[str, str] = dict(cursor.fetchall())
        for peer in self._channel.peers:
            age = now - self._whole_at.get(peer, 0.0)
            whole = age > (_SOON_SECONDS if peer in self._conversation.moved else _WHOLE_SECONDS)
            position = positions.get(topic_between(peer, self._node), "")
            if whole or position != self._told.get(peer, ""):
                self._send_account(peer, date.min if whole else _yesterday(), whole=whole)
                self._told[peer] = position
            if whole:
                self._conversation.moved.discard(peer)
                self._whole_at[peer] = now

    def _send_account(self, peer: str, since: date, *, whole: bool) -> None:
        with snapshot(self._connection) as cursor:
            account = receipts.account(cursor, self._node, peer, since, whole=whole)
        if account.positions or account.sent:
            self._conversation.send(peer, [account])

    def _reconcile(self, now: float) -> None:
        """Run our own rounds one after the other: await the open one, or begin the next."""
        if self._open is not None:
            self._await(*self._open, now)
        elif self._queue:
            patience = _LOST_ROUND_SECONDS if self._lost else _ROUND_SECONDS
            self._open = (self._conversation.begin(self._queue.pop()), now + patience)
        elif now >= self._round_due:
            self._end_cycle()
            self._round_due = now + (_LOOK_AGAIN_SECONDS if self._recovering else self._period)
            # The centre usually answers; it begins rounds only while it lacks something.
            if self._node != NATIONAL or self._recovering or self._lost:
                self._queue = [*self._channel.peers]

    def _await(self, begun: Round, given_up_at: float, now: float) -> None:
        if begun.outcome is not None:
            self._open = None
            self._conclude(begun)
        elif now > given_up_at:
            log.warning("reconciliation with %s: no answer; the next round asks again", begun.peer)
            self._conversation.forget(begun)
            self._open = None

    def _conclude(self, begun: Round) -> None:
        outcome = self._conversation.conclude(begun)
        self._cycle.append(outcome.equal)
        for case in outcome.findings:
            log.warning(
                "reconciliation with %s: case %s: %d events missing here, %d there",
                *(begun.peer, case.case_id, len(case.missing_here), len(case.missing_there)),
            )
        if not outcome.equal:
            # What was sent again is checked soon, not only after a whole period.
            self._round_due = min(self._round_due, time.monotonic() + _LOOK_AGAIN_SECONDS)

    def _end_cycle(self) -> None:
        """End a recovery if all that answered hold what this node holds."""
        if self._recovering and self._cycle and all(self._cycle):
            self._conversation.end_recovery()
        self._cycle = []
        self._recovering = self._conversation.is_recovering()


def _yesterday() -> date:
    return day_of(now_micros()) - timedelta(days=1)
