"""/monitor: the star in figures and as a picture, and what it says while something is away."""

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from httpx import Client, Response
from kafka.errors import KafkaConnectionError
from support.web import client_of
from support.world import (
    WAIT_SECONDS,
    count,
    do,
    event,
    eventually,
    raw,
    register,
    rows,
    running,
    send,
)

from cases.nodes import PROVINCES
from consumers.consumer import Consumer
from node.entrypoints.web.pages import link_lag
from node.entrypoints.web.pages.dashboard import clock_names
from node.kafka.topic_names import downlink, uplink
from node.localstack import LocalStack
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from producers.relay.relay import Relay


@pytest.fixture(autouse=True)
def _readings_end_before_the_stack() -> Iterator[None]:
    """A reading that was set off by the last page still holds sockets."""
    yield
    for thread in threading.enumerate():
        if thread.name in ("live", "lags", "deadlines", "figures"):
            thread.join(WAIT_SECONDS)


def looked(client: Client, check: Callable[[str], bool] = bool) -> str:
    """Ask for the page until it shows what `check` wants; return it."""
    pages: list[str] = []

    def shown() -> bool:
        answer = client.get("/monitor")
        assert answer.status_code == 200, answer.text
        pages.append(answer.text)
        return check(answer.text)

    eventually(shown, "the page shows it")
    return pages[-1]


def complete(text: str) -> bool:
    return "正在计算" not in text and "正在读取" not in text


class Cells(NamedTuple):
    """A row of the table of links."""

    since: str
    up: str
    up_lag: str
    up_age: str
    down: str
    down_lag: str
    down_age: str
    pending: str
    pending_age: str


def row_of(text: str, name: str) -> Cells:
    """Return the figures of a node's link."""
    table = text[text.index('id="links-scroll"') :]
    (found,) = re.findall(rf'<th scope="row">{name}</th>(.*?)</tr>', table, re.DOTALL)[:1]
    return Cells(*(re.sub("<.*?>", "", cell).strip() for cell in found.split("</td>")[:-1]))


def figure(text: str, name: str) -> str:
    """Return one of the figures on top."""
    (found,) = re.findall(rf"<dt>{name}</dt><dd>(.*?)</dd>", text)
    return re.sub("<.*?>", "", found)


def test_the_centre_sees_the_whole_star_and_nothing_counted_is_said_so(
    empty_topics: LocalStack, centre: Settings
) -> None:
    with client_of(centre) as client:
        text = looked(client, complete)
    assert text.count('<g class="off">') == len(PROVINCES) == 32
    assert row_of(text, "山东省").since == "未联网"
    assert figure(text, "已联网省级节点") == "0 / 32"
    assert figure(text, "网信占比") == "无"
    assert "没有逾期或即将到期的" in text
    for name in ("死信待处理", "发件箱待发", "事件缺失的信访件", "有冲突的信访件"):
        assert figure(text, name) == "0"


def test_rates_lags_and_troubles_are_in_the_figures(
    empty_topics: LocalStack, centre: Settings
) -> None:
    metrics = Metrics()
    send(centre, uplink("110000"), [raw(event(f"110000-20260101-0000000{n}")) for n in range(5)])
    with client_of(centre) as client:
        behind = looked(client, lambda text: row_of(text, "北京市").up_lag == "5")
        assert row_of(behind, "北京市").since == "未联网"
        with running(Consumer(centre, metrics), metrics):
            looked(client, lambda text: count(centre, "petition_case") == 5)
        do(centre, "assign", case_id="110000-20260101-00000000", to="370000")
        pending = looked(client, lambda text: row_of(text, "山东省").pending == "2")
        assert figure(pending, "发件箱待发") == "3"
        with running(Relay(centre, metrics), metrics):
            sent = looked(client, lambda text: row_of(text, "山东省").down_lag == "2")
    assert row_of(sent, "北京市")[1:4] == ("1.0", "0", "0 秒")
    assert row_of(sent, "山东省").down == "0.4"
    assert re.search(r'class="ok"[^>]*stroke-width="1\.98"', sent)
    assert f"{len(PROVINCES) - 1}" == str(sent.count('<g class="off">'))


def test_a_province_sees_its_own_part_only(
    empty_topics: LocalStack, fresh_settings: Callable[..., Settings]
) -> None:
    shandong = fresh_settings("370000")
    register(shandong)
    with client_of(shandong) as client:
        text = looked(client, complete)
        rows(shandong, "insert into node_contact values ('110000', '2026-03-01T08:00:00+08:00')")
        heard = looked(client, lambda text: row_of(text, "山东省").since != "未联网")
    assert row_of(heard, "山东省").since == "2026-03-01 08:00"
    assert text.count("<g>") + text.count("<g ") == 1
    assert row_of(text, "山东省").pending == "1"
    assert row_of(text, "山东省").since == "未联网"
    assert "已联网省级节点" not in text
    assert "北京市" not in text


def test_overdue_duties_are_shown_by_clock_by_node_and_case(centre: Settings) -> None:
    case_id = register(centre, occurred_at="2026-01-05T09:00:00+08:00")
    rows(
        centre,
        "insert into case_clock values (%s, 'D06', gen_random_uuid(), '370000', now(), "
        "now() - interval '36 hours', false, '')",
        (case_id,),
    )
    with client_of(centre) as client:
        text = looked(client, complete)
    assert int(figure(text, "已逾期时限")) >= 1
    assert f"D06 {clock_names()['D06']}" in text
    assert case_id in text
    assert "1.5 天" in text
    assert "供暖不足" not in text  # the monitor hangs on a wall


def test_what_rises_and_the_indicators_are_shown(centre: Settings) -> None:
    for _ in range(3):
        register(centre, content_category_1="城乡建设", area="370102")
    do(centre, "register", title="来访", channel="visit")
    with client_of(centre) as client:
        text = looked(client, complete)
    assert "城乡建设" in text
    assert "370102 山东省" in text
    assert "75.0%" in text
    assert figure(text, "网信占比") == "75.0%"


def test_while_kafka_is_away_the_page_comes_and_says_so(
    centre: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise KafkaConnectionError("no broker")

    monkeypatch.setattr(link_lag, "partition_status", away)
    with client_of(centre) as client:
        text = looked(client, lambda text: "Kafka 没有应答" in text)
    assert row_of(text, "北京市").up_lag == "未知"
    assert 'class="unknown"' not in re.sub(r"<defs>.*?</defs>", "", text, flags=re.DOTALL)


def test_a_page_does_not_wait_for_what_takes_long(
    centre: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def takes_until_it_is_answered(*_: object) -> list[object]:
        answered.wait()
        return []

    monkeypatch.setattr(link_lag, "partition_status", takes_until_it_is_answered)
    with client_of(centre) as client:
        try:
            answer: Response = client.get("/monitor")
        finally:
            answered.set()
    assert answer.status_code == 200
    assert "未知" in answer.text


def test_the_lag_of_a_reader_who_never_read_is_all_there_is(
    empty_topics: LocalStack, centre: Settings
) -> None:
    send(centre, downlink("660000"), [raw(event("110000-20260101-00000001"))])

    with client_of(centre) as client:
        text = looked(client, lambda text: row_of(text, "新疆生产建设兵团").down_lag == "1")
    assert row_of(text, "新疆生产建设兵团").up_lag == "0"
