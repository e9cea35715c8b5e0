"""The pages in a real Chromium: by keyboard, without script, on a phone, and readable."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from httpx import Client
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from support.browser import PHONE, WIDE, browser, shot
from support.web import post, served
from support.world import do, eventually, rows, running

from cases.nodes import PROVINCES
from consumers.consumer import Consumer
from node.entrypoints.web.pages import monitor
from node.entrypoints.web.pages.link_lag import Lag
from node.kafka.topic_names import downlink, uplink
from node.localstack import LocalStack
from node.postgres.connection import connected
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from producers.relay.relay import Relay

CENTRE, BEIJING, SHANDONG = "000000", "110000", "370000"
# Where pictures for docs/ go; else they are taken and thrown away.
_PICTURES = os.environ.get("PAGES_PICTURES")
_OPINION = (
    "经核查，欠薪情况属实（虚构）。已责成该单位于本月内支付。\n"
    "不服本意见的，可自收到之日起三十日内申请复查。"
)

_CONTRAST = """
const curve = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const channel = (v) => curve(v / 255);
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const parts = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
const ground = (one) => {
  for (let at = one; at; at = at.parentElement) {
    const found = parts(getComputedStyle(at).backgroundColor);
    if (found.length === 3 || found[3] === 1) return found.slice(0, 3);
  }
  return [255, 255, 255];
};
const wrong = [];
for (const one of document.querySelectorAll("body *")) {
  const said = [...one.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  const box = one.getBoundingClientRect();
  if (!said || !box.width || one.closest("svg") || one.closest(".skip")) continue;
  const style = getComputedStyle(one);
  const both = [light(parts(style.color).slice(0, 3)), light(ground(one))];
  const [a, b] = both.sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) wrong.push(`${one.tagName} ${one.textContent.trim().slice(0, 20)} ${ratio}`);
}
return wrong;
"""
_SIDEWAYS = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Lived(NamedTuple):
    """A case that lived in three nodes, and where its petitioner asks for it."""

    case_id: str
    code: str
    base: str


@pytest.fixture
def lived(empty_topics: LocalStack, fresh_settings: Callable[..., Settings]) -> Iterator[Lived]:
    """Three nodes run; a case went from Beijing over the centre to Shandong and was served."""
    nodes = {code: fresh_settings(code) for code in (CENTRE, BEIJING, SHANDONG)}
    with ExitStack() as all_running:
        for settings in nodes.values():
            for make in (Relay, Consumer):
                metrics = Metrics()
                all_running.enter_context(running(make(settings, metrics), metrics))
        bases = {
            code: all_running.enter_context(served(settings)) for code, settings in nodes.items()
        }
        yield _live(nodes, bases)


def _live(nodes: dict[str, Settings], bases: dict[str, str]) -> Lived:
    case_id, code = _registered(bases[BEIJING])
    _await_state(nodes[CENTRE], case_id, "registered")
    _command(bases[CENTRE], "assign", case_id, to=SHANDONG)
    _await_state(nodes[SHANDONG], case_id, "assigned")
    unit = "示例市人力资源和社会保障局"
    _command(bases[SHANDONG], "land", case_id, unit=unit)
    _command(bases[SHANDONG], "accept", case_id, unit=unit, note="内部备注")
    _command(bases[SHANDONG], "decide", case_id, unit=unit, outcome="supported", opinion=_OPINION,
             opinion_number="示人社信〔2026〕1号")  # fmt: skip
    _command(bases[SHANDONG], "serve", case_id, document="decision", method="online")
    _await_state(nodes[BEIJING], case_id, "served")
    return Lived(case_id, code, bases[BEIJING])


def _registered(base: str) -> tuple[str, str]:
    given = {"title": "拖欠工资", "channel": "web", "content_category_1": "劳动保障",
             "area": "370102", "persons": 1}  # fmt: skip
    with Client(base_url=base) as client:
        done = post(client, {"command": "register", **given}).json()
    return str(done["case_id"]), str(done["query_code"])


def _command(base: str, name: str, case_id: str, **given: Any) -> None:
    with Client(base_url=base) as client:
        done = post(client, {"command": name, "case_id": case_id, **given})
    assert done.status_code in (200, 201), done.text


def _await_state(settings: Settings, case_id: str, state: str) -> None:
    query = "select state from petition_case where case_id = %s"
    eventually(lambda: rows(settings, query, (case_id,)) == [(state,)], f"{case_id} is {state}")


def keys(driver: Chrome, *pressed: str) -> None:
    """Press keys, one after the other, wherever the focus is."""
    ActionChains(driver).send_keys(*pressed).perform()


def saying(driver: Chrome, wanted: str) -> str:
    """Wait until the page says what is wanted; return its text."""
    found = ""

    def said() -> bool:
        nonlocal found
        try:
            found = driver.find_element(By.TAG_NAME, "main").text
        except (NoSuchElementException, StaleElementReferenceException):
            return False
        return wanted in found

    eventually(said, f"the page says {wanted}")
    return found


def picture(driver: Chrome, name: str, folder: Path) -> None:
    shot(driver, Path(_PICTURES or folder) / f"{name}.png")


def readable(driver: Chrome) -> None:
    """Every text stands out from its ground, and nothing has to be moved sideways."""
    assert driver.execute_script(_CONTRAST) == []
    assert driver.execute_script(_SIDEWAYS) <= 0


def test_a_petitioner_enquires_and_evaluates_by_keyboard_alone_without_script(lived: Lived) -> None:
    with browser(PHONE, script=False) as driver:
        driver.get(f"{lived.base}/enquiry")
        keys(driver, Keys.TAB, Keys.TAB, lived.case_id.lower(), Keys.TAB, "0000 0000 0000")
        keys(driver, Keys.ENTER)
        saying(driver, "查询码不正确")
        # The code's field has the focus again.
        keys(driver, lived.code.lower(), Keys.ENTER)
        said = saying(driver, "处理意见")
        for shown in ("登记", "国家信访局 → 山东省", "受理", "示例市人力资源和社会保障局",
                      "处理意见", "不服本意见的"):  # fmt: skip
            assert shown in said
        assert "内部备注" not in said
        assert lived.code not in driver.current_url
        # Skip link, office: satisfied, its reason, unit: satisfied → dissatisfied, no reason.
        keys(driver, Keys.TAB, Keys.TAB, Keys.SPACE, Keys.TAB, Keys.TAB, Keys.SPACE)
        keys(driver, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.TAB, Keys.TAB, Keys.ENTER)
        saying(driver, "请写明理由")
        # The missing reason has the focus.
        keys(driver, "答复太慢(虚构)", Keys.TAB, Keys.ENTER)
        said = saying(driver, "评价已收到")
        results = [one.text for one in driver.find_elements(By.TAG_NAME, "dd")]
        assert results[-2:] == ["满意", "不满意"], said


def test_the_enquiry_pages_are_readable_wide_and_on_a_phone(
    fresh_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = fresh_settings(BEIJING)
    with served(settings) as base:
        case_id, code = _registered(base)
        unit = "示例市人力资源和社会保障局"
        do(settings, "accept", case_id=case_id, unit=unit)
        do(settings, "decide", case_id=case_id, unit=unit, outcome="supported", opinion=_OPINION)
        do(settings, "serve", case_id=case_id, document="decision", method="online")
        for width, name in ((WIDE, "wide"), (PHONE, "phone")):
            with browser(width) as driver:
                _walk_through(driver, f"{base}/enquiry", case_id, code)
                picture(driver, f"case-{name}", tmp_path)


def _walk_through(driver: Chrome, address: str, case_id: str, code: str) -> None:
    """Show every state of the pages, each readable; end on the case."""
    driver.get(address)
    readable(driver)
    driver.find_element(By.ID, "case").send_keys("信访")
    driver.find_element(By.TAG_NAME, "button").click()
    saying(driver, "错误")
    readable(driver)
    assert driver.switch_to.active_element.get_attribute("id") == "case"
    for _ in range(2):
        driver.find_element(By.ID, "case").clear()
        driver.find_element(By.ID, "case").send_keys(case_id)
        driver.find_element(By.ID, "code").send_keys(code)
        driver.find_element(By.TAG_NAME, "button").click()
        saying(driver, "处理意见")
        readable(driver)
        driver.find_element(By.TAG_NAME, "button").click()
        saying(driver, "请至少对一个对象作出评价")
        readable(driver)
        driver.get(address)
    driver.find_element(By.ID, "case").send_keys(case_id)
    driver.find_element(By.ID, "code").send_keys(code, Keys.ENTER)
    saying(driver, "处理意见")


# A country at work, in figures: who is connected, what flows, what is overdue.
_COUNTRY = """
    insert into node_contact select code, now() - interval '40 days'
        from unnest(%(nodes)s::text[]) with ordinality n (code, place) where place <> 17;
    insert into case_event (event_id, case_id, event_type, version, emitter, emitter_sequence,
            occurred_at, recorded_at, exchanged_at, actor, rule_set, body, value, traceparent,
            source_topic)
        select gen_random_uuid(), 'x', 'petition.case.progressed.v1', 1, code, 1, now(), now(),
            now(), '', 'XF2022', '{}', '', '', 'petition.uplink.' || code
        from unnest(%(nodes)s::text[]) with ordinality n (code, place),
            generate_series(1, (power(place, 3) / 20)::integer);
    insert into outbox (topic, case_id, event_id, published_at)
        select 'petition.downlink.' || code, 'x', gen_random_uuid(), now()
        from unnest(%(nodes)s::text[]) with ordinality n (code, place),
            generate_series(1, (power(33 - place, 3) / 40)::integer);
    insert into case_clock
        select '110000-20260401-' || lpad(place || '', 8, '0'), clock, gen_random_uuid(), code,
            now(), now() + (place - 20) * interval '7 hours', place > 30, ''
        from unnest(%(nodes)s::text[]) with ordinality n (code, place),
            unnest(array['D02', 'D03', 'D06']) clock;
    insert into petition_case (case_id, state, registered_by, handled_by, participants, channel,
            title, area, content_category_1, registered_at, received_at, version, conflicts,
            incomplete, revision, fold)
        select code || m, 'registered', code, code, array[code],
            (array['web', 'letter', 'phone', 'app', 'visit'])[1 + (m + place) %% 5], '',
            code, (array['劳动保障', '城乡建设', '农村农业', '教育'])[1 + m %% 4],
            now() - m * m * interval '1 day', now() - m * m * interval '1 day', 1, 0, false, 1, '{}'
        from unnest(%(nodes)s::text[]) with ordinality n (code, place), generate_series(1, 7) m;
"""


def _behind() -> dict[str, Lag]:
    """Nearly all keep up; one is slow, one is late."""
    found = {topic(code): Lag(0, 0.0) for code in PROVINCES for topic in (uplink, downlink)}
    return found | {uplink("410000"): Lag(4210, 75.0), downlink("510000"): Lag(88_000, 1800.0)}


def test_the_monitor_is_readable_refreshes_itself_and_tells_when_it_cannot(
    fresh_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = fresh_settings(CENTRE)
    monkeypatch.setattr("node.entrypoints.web.pages.dashboard.lags", lambda *_: _behind())
    if not _PICTURES:  # a picture shows what is true
        monkeypatch.setitem(monitor._WORDS, "refresh_seconds", 1)
    with connected(centre.dsn, "test") as connection, connection, connection.cursor() as cursor:
        cursor.execute(_COUNTRY, {"nodes": [*PROVINCES]})
    with served(centre) as base:
        for width, name in ((WIDE, "wide"), (PHONE, "phone")):
            with browser(width) as driver:
                driver.get(f"{base}/monitor")
                _await_refresh(driver.find_element(By.TAG_NAME, "h1"))
                saying(driver, "城乡建设")
                readable(driver)
                picture(driver, f"monitor-{name}", tmp_path)
                assert driver.get_log("browser") == []
                status = driver.find_element(By.ID, "refresh-status")
                assert not status.is_displayed()
                driver.execute_cdp_cmd("Network.enable", {})
                driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/monitor"]})
                eventually(status.is_displayed, "the page tells that it stands still")


def _await_refresh(element: WebElement) -> None:
    """Wait until a fresh element has replaced this one."""

    def is_replaced() -> bool:
        try:
            element.is_enabled()
        except StaleElementReferenceException:
            return True
        return False

    eventually(is_replaced, "the page refreshed itself")
