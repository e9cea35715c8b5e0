"""docs/faults.md 22: a node whose clock is wrong by ten minutes, or is set back while it runs."""

from contextlib import closing
from functools import partial

import pytest
from support.flows import assert_in_order, flowing, live
from support.ledgers import assert_sound, await_settled
from support.world import count, eventually

from node.keys.office import open_office
from node.localstack import LocalStack
from node.postgres.connection import connect
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from schemas.instants import Clock, now_micros

_TEN_MINUTES_MICROS = 600 * 1_000_000


class Stepped:
    """A clock that is ahead and is then set back."""

    def __init__(self) -> None:
        self.ahead = _TEN_MINUTES_MICROS

    def __call__(self) -> int:
        return now_micros() + self.ahead


def behind() -> int:
    return now_micros() - _TEN_MINUTES_MICROS


@pytest.mark.parametrize(
    ("source", "receiver"),
    [(Stepped(), behind), (behind, Stepped())],
    ids=["stepped back to behind", "behind to stepped back"],
)
def test_wrong_clocks_change_neither_order_nor_duplicates_and_no_time_is_negative(
    new_centre: Settings,
    new_shandong: Settings,
    new_nodes: LocalStack,
    source: Clock,
    receiver: Clock,
) -> None:
    """docs/faults.md 22. Seen failing without the clamps at 0 (consumers/lag.py,
    consumers/outcomes.py)."""
    lags: list[float] = []
    office = open_office(new_shandong, source)
    with (
        flowing(new_centre, new_shandong, receiver) as flow,
        closing(connect(new_shandong.dsn, "test")) as connection,
    ):

        def seen(number: int) -> bool:
            lags.extend(all_samples(flow.applied, "consumer_lag_seconds"))
            return count(new_centre, "case_event") == number

        for made in (3, 6):
            live(connection, office)
            eventually(partial(seen, made), "applied")
            for clock in (source, receiver):
                if isinstance(clock, Stepped):
                    clock.ahead = 0
        await_settled(new_nodes)
        delivered = all_samples(flow.applied, "event_delivery_seconds_sum")
    assert min(lags) >= 0
    assert delivered
    assert min(delivered) >= 0
    assert_in_order(new_centre, new_shandong)
    assert_sound(new_nodes)


def all_samples(metrics: Metrics, name: str) -> list[float]:
    """Return the values of all samples of a metric."""
    return [
        one.value
        for family in metrics.registry.collect()
        for one in family.samples
        if one.name == f"petitionlink_{name}"
    ]
