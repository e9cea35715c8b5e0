"""Nodes of an integration test: a database each, their loops in threads of this process."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from support.world import do, eventually, rows, running

from consumers.consumer import Consumer
from node.postgres.connection import connected
from node.reconcile.control_channel import Channel
from node.reconcile.initiator import RoundOutcome
from node.reconcile.run_once import reconcile
from node.reconcile.worker import Reconciler
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.runtime.supervisor import Worker
from producers.relay.relay import Relay

CENTRE, BEIJING, SHANDONG = "000000", "110000", "370000"
_UNSENT = "select count(*) from outbox where published_at is null"
_UNCONFIRMED = """
    select count(*) from outbox o
    where o.published_at is not null and o.topic not like 'petition.own.%%' and not exists (
        select from peer_position p where p.topic = o.topic and p.partition = o.partition
            and p.next_offset > o."offset")
"""


class Desk(NamedTuple):
    """A node of the test and its metrics."""

    settings: Settings
    metrics: Metrics

    @property
    def node(self) -> str:
        return self.settings.node


Desks = tuple[Desk, Desk, Desk]


# What is on its way from a database that is gone is waited for this long.
SETTLE_SECONDS = 0.5


def loops(desk: Desk) -> list[Worker]:
    """Make what `petitionlink run` starts, without the web service and the routines."""
    settings, metrics = desk
    return [
        Relay(settings, metrics, SETTLE_SECONDS),
        Consumer(settings, metrics),
        Reconciler(settings, metrics),
    ]


@contextmanager
def at_work(
    *desks: Desk, which: Callable[[Desk], list[Worker]] = loops
) -> Iterator[list[list[BaseException]]]:
    """Run the loops of these nodes inside the block; each list has what ended one of them."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(running(worker, desk.metrics))
            for desk in desks
            for worker in which(desk)
        ]


def cross_case(beijing: Desk, centre: Desk, shandong: Desk) -> str:
    """Make a case that Beijing registered, the centre assigned to Shandong, and Shandong landed."""
    case_id = do(beijing.settings, "register", title="跨省欠薪", channel="web").case.case_id
    await_case(centre, case_id)
    do(centre.settings, "assign", case_id=case_id, to=SHANDONG)
    await_case(shandong, case_id, "assigned")
    do(shandong.settings, "land", case_id=case_id)
    await_case(beijing, case_id, "landed")
    return case_id


def await_case(desk: Desk, case_id: str, state: str | None = None) -> None:
    """Wait until the node knows the case, in this state."""
    query = "select state from petition_case where case_id = %s"
    eventually(
        lambda: (
            [row for row in rows(desk.settings, query, (case_id,)) if state in (None, row[0])] != []
        ),
        f"{desk.node} knows {case_id} {state or ''}",
    )


def await_confirmed(*desks: Desk) -> None:
    """Wait until every outbox is published and its receivers have confirmed it."""
    for desk in desks:
        for query in (_UNSENT, _UNCONFIRMED):
            await_none(desk, query)


def await_none(desk: Desk, query: str) -> None:
    """Wait until a query counts nothing."""
    eventually(lambda: rows(desk.settings, query) == [(0,)], f"{desk.node}: {query}")


def round_with(desk: Desk, peer: str) -> RoundOutcome:
    """Do one round as `petitionlink reconcile` drives it."""
    with connected(desk.settings.dsn, "test") as own, Channel(desk.settings, "test", [peer]) as way:
        return reconcile(desk.settings, own, way, peer)
