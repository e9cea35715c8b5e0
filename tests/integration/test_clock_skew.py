"""A wrong clock 时钟偏差: said as what it is; routines do nothing by it; commands are refused."""

from typing import Any

import pytest
from kafka import KafkaProducer
from support.cli import as_environment, petitionlink
from support.routines import served
from support.web import client_of
from support.world import count, event, eventually, raw, register, rows, running, sample, send

from consumers.consumer import Consumer
from node.kafka.topic_names import uplink
from node.keys.office import open_office
from node.postgres.connection import connected
from node.queries.database_gauges import Observer
from node.reconcile import control_channel
from node.reconcile.worker import Reconciler
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.store import clock_skew
from node.store.clock_skew import ClockCheck, ClockWrong
from producers.commands.handle import handle
from producers.commands.parse import parse
from producers.relay.relay import Relay
from producers.routines.expiry import Timekeeping
from producers.routines.routine import RoutinePolicy
from schemas.instants import Clock, now_micros

SHANDONG, BEIJING = "370000", "110000"
_HOUR = 3_600_000_000
_YEAR = 8_766 * _HOUR
_SET_DATABASE_CLOCK_AHEAD = """
    update node_state set clock_measured_at = clock_timestamp(), database_ahead_micros = %s
"""


def ahead_by(micros: int) -> Clock:
    return lambda: now_micros() + micros


@pytest.mark.parametrize("skew", [2 * _HOUR, -3 * _HOUR, 12 * _YEAR])
def test_a_clock_that_is_wrong_is_measured_against_the_brokers_and_said_as_what_it_is(
    province_with_topics: Settings, caplog: pytest.LogCaptureFixture, skew: int
) -> None:
    """docs/faults.md 34. Formerly: "is the broker up?" every 3 s."""
    metrics, clock = Metrics(), ahead_by(skew)
    reconciler, observer = (
        Reconciler(province_with_topics, metrics, clock),
        Observer(province_with_topics, metrics, clock),
    )
    with running(reconciler, metrics) as ended, running(observer, metrics):
        eventually(
            lambda: abs(sample(metrics, "clock_skew_seconds") - skew / 1e6) < 2, "it is measured"
        )
        direction = "ahead of" if skew > 0 else "behind"
        eventually(lambda: f"{direction} the broker's: set it (NTP)" in caplog.text, "it is said")
        assert ended == []


def test_a_command_is_refused_while_the_clock_is_wrong_and_taken_once_it_is_set(
    province_with_topics: Settings,
) -> None:
    """docs/faults.md 34. Formerly: commands were taken and dated 2038."""
    measured(province_with_topics)
    clock = Steppable(12 * _YEAR)
    office = open_office(province_with_topics, clock)
    with connected(province_with_topics.dsn, "test") as connection:
        given = parse({"command": "register", "title": "…", "channel": "web"}, office)
        with pytest.raises(ClockWrong, match=r"12\.. days|days ahead of the broker's: set it"):
            handle(connection, office, given)
        assert count(province_with_topics, "case_event") == 0
        clock.ahead = 0
        handle(connection, office, parse({"command": "register", "title": "…", "channel": "web"},
                                         office))  # fmt: skip
    assert count(province_with_topics, "case_event") == 1


class Steppable:
    """A clock that somebody sets."""

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead

    def __call__(self) -> int:
        return now_micros() + self.ahead


def measured(settings: Settings, database_ahead: int = 0) -> None:
    """Record a measurement of a moment ago, as the reconciler does."""
    rows(settings, _SET_DATABASE_CLOCK_AHEAD, (database_ahead,))


def test_the_machine_of_node_and_database_is_wrong_then_cli_and_web_refuse_in_one_line(
    province_with_topics: Settings,
) -> None:
    measured(province_with_topics, 2 * _HOUR)
    found = petitionlink(
        "command", "-", settings=as_environment(province_with_topics),
        stdin='{"command":"register","title":"…","channel":"web"}',
    )  # fmt: skip
    assert (found.code, found.out) == (1, "")
    (line,) = found.err.splitlines()
    assert "2.0 h ahead of the broker's: set it (NTP)" in line
    with client_of(province_with_topics) as client:
        answer = client.post("/v1/commands", json={"command": "register", "title": "…",
                                                   "channel": "web"})  # fmt: skip
        assert answer.status_code == 503
        assert answer.json()["rule"] == "clock_wrong"
    assert count(province_with_topics, "case_event") == 0


def test_routines_wait_while_the_clock_is_wrong_or_in_doubt_and_act_again_after(
    province_with_topics: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """docs/faults.md 34. Formerly: false evaluation.expired events went out."""
    served(province_with_topics, 10.0)  # the window is open for twenty days yet
    clock = Steppable(2 * _YEAR)
    measured(province_with_topics)
    metrics = Metrics()
    policy = RoutinePolicy(clock_seconds=0.05)
    with running(Timekeeping(province_with_topics, clock, policy=policy), metrics):
        eventually(lambda: "routines wait until then" in caplog.text, "it says why it waits")
        assert rows(province_with_topics, "select count(*) from case_evaluation") == [(0,)]
        # Postgres's clock has jumped with ours: nobody can tell until the broker answers.
        rows(
            province_with_topics,
            "update node_state set clock_measured_at = now() - interval '2 hours'",
        )
        clock.ahead = 0
        eventually(lambda: "until Kafka answers" in caplog.text, "it is in doubt")
        measured(province_with_topics)
        eventually(lambda: "the clock is right again" in caplog.text, "it goes on")
    assert rows(province_with_topics, "select count(*) from case_evaluation") == [(0,)]


def test_a_node_that_never_measured_acts_as_if_its_clock_were_right(
    province_with_topics: Settings,
) -> None:
    check = ClockCheck(province_with_topics, ahead_by(12 * _YEAR))
    with connected(province_with_topics.dsn, "test") as connection, connection.cursor() as cursor:
        assert check.reading(cursor).ahead is None
        assert check.why_not_act(cursor) == ""
        check.check_command(cursor)


def test_dates_of_2028_and_2038_and_1900_are_marked_on_receipt_and_the_events_applied(
    centre_with_topics: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """docs/faults.md 34. Formerly: taken everywhere without a word."""
    case_id = f"{BEIJING}-20260401-7K3M9QXA"
    now = now_micros()
    dated = [now, now + 2 * _YEAR, now + 12 * _YEAR, now - 126 * _YEAR]
    several = [
        event(f"{case_id}{n}", emitter=BEIJING, occurred_at=at, recorded_at=at)
        for n, at in enumerate(dated)
    ]
    metrics = Metrics()
    # Its own clock is ten years behind, which it knows: it judges by the broker's all the same.
    measured(centre_with_topics, 0)
    with running(Consumer(centre_with_topics, metrics, ahead_by(-10 * _YEAR)), metrics):
        send(centre_with_topics, uplink(BEIJING), [raw(one) for one in [*several, several[1]]])
        eventually(lambda: count(centre_with_topics, "petition_case") == 4, "all four are applied")
        eventually(
            lambda: sample(metrics, "events_implausible_time_total", source=BEIJING) == 3,
            "three are counted",
        )
    marked = rows(
        centre_with_topics, "select event_id::text, detail from implausible_time order by 1"
    )
    assert {one for one, _ in marked} == {one.event_id for one in several[1:]}
    shown = petitionlink("case", "show", f"{case_id}2", settings=as_environment(centre_with_topics))
    assert "dates in doubt" in shown.out
    trace = petitionlink(
        "case",
        "trace",
        f"{case_id}3",
        "--format",
        "json",
        settings=as_environment(centre_with_topics),
    ).json()
    assert "before 1949" in trace["hops"][0]["time_in_doubt"]
    assert count(centre_with_topics, "dead_letter") == 0


def test_a_relay_whose_clock_is_hours_ahead_says_so_keeps_the_outbox_and_drains_it_after(
    province_with_topics: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """docs/faults.md 34. Formerly: "Kafka is away: is the broker up?"."""
    metrics = Metrics()
    metrics.about(SHANDONG)
    register(province_with_topics)
    real = KafkaProducer.send

    def two_hours_ahead(*given: Any) -> Any:
        return real(*given, timestamp_ms=(now_micros() + 2 * _HOUR) // 1000)

    monkeypatch.setattr(KafkaProducer, "send", two_hours_ahead)
    with running(Relay(province_with_topics, metrics), metrics) as ended:
        eventually(lambda: "is more than an hour ahead of the broker's" in caplog.text, "it says")
        assert "is the broker up" not in caplog.text
        monkeypatch.setattr(KafkaProducer, "send", real)
        waiting = "select count(*) from outbox where published_at is null"
        eventually(lambda: rows(province_with_topics, waiting) == [(0,)], "it is published")
        assert ended == []


def test_a_topic_without_the_brokers_time_leaves_the_skew_unknown(
    province_with_topics: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster on which `topics apply` has not been run yet."""
    with control_channel.Channel(province_with_topics, "test") as channel:
        monkeypatch.setattr(control_channel, "control_between", lambda *_: uplink(SHANDONG))
        assert channel.clock_ahead("000000", now_micros) is None
        assert channel.clock_ahead("000000", ahead_by(2 * _HOUR)) == 3_601_000_000
    assert clock_skew.ClockSkew(None).seconds is None
