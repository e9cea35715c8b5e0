"""Cleaning of texts and reading of dates, cell by cell."""

from datetime import datetime, timedelta, timezone

import pytest

from producers.register.cell_values import BOUNDLESS, converter
from producers.register.clean_text import clean_line, clean_text, quoted
from producers.register.dates import DAY, Instant, not_before, parse_instant
from producers.register.errors import CellError
from producers.register.targets import targets

CHINA = timezone(timedelta(hours=8))


def micros(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    there = datetime(year, month, day, hour, minute, second, tzinfo=CHINA)
    return round(there.timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("\n\t\t\t\u3000\u3000你好\xa0 \n\t\t\n", "你好"),
        ("\ufeff\u200b你好\u200b", "你好"),
        ("一\r\n二\r三\n四\u2028五", "一\n二\n三\n四\n五"),
        ("领导好_x000D_\n\u3000\u3000我是住户_x000D_", "领导好\n\u3000\u3000我是住户"),
        ("一\n\n \t\n\u3000\n二", "一\n\n二"),
        ("一\t\t\t二 \t\n三", "一\t二\n三"),
        ("一  二\u3000\u3000三", "一  二\u3000\u3000三"),
        ("\u3000\t\n", ""),
        ("𠀀𪚥㐀", "𠀀𪚥㐀"),
    ],
)
def test_a_text_loses_what_the_export_added_and_nothing_else(cell: str, text: str) -> None:
    assert clean_text(cell) == text
    assert clean_text(text) == text


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        (" 标题\n第二行\t末 ", "标题 第二行 末"),
        ("\u3000张 示例\u3000", "张 示例"),
        ("一_x000D_\n二", "一 二"),
        ("_x000D_", ""),
    ],
)
def test_a_cell_of_one_line_has_no_line_break(cell: str, line: str) -> None:
    assert clean_line(cell) == line


def test_a_long_run_of_blanks_does_not_cost_quadratic_time() -> None:
    text = "一" + " " * 1_000_000 + "二\n三"
    assert clean_text(text) == text


def test_a_quoted_value_is_short_and_safe_to_print() -> None:
    assert quoted("甲\n\x1b[31m") == '"甲\\n\\x1b[31m"'
    assert quoted("长" * 99) == '"' + "长" * 30 + '…"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2019/4/25 9:32:09", micros(2019, 4, 25, 9, 32, 9)),
        ("2019-04-25 09:32", micros(2019, 4, 25, 9, 32)),
        ("2019.4.25 9:32", micros(2019, 4, 25, 9, 32)),
        ("2019年4月25日 9时32分", micros(2019, 4, 25, 9, 32)),
        ("2019年4月25日9时32分9秒", micros(2019, 4, 25, 9, 32, 9)),
        ("2019年04月25日 09:32:09", micros(2019, 4, 25, 9, 32, 9)),
        ("2019年4月25日9时", micros(2019, 4, 25, 9)),
        ("20190425093209", micros(2019, 4, 25, 9, 32, 9)),
        ("2019-04-25T09:32:09+08:00", micros(2019, 4, 25, 9, 32, 9)),
        ("2019-04-25T01:32:09Z", micros(2019, 4, 25, 9, 32, 9)),
        ("2019-04-24 20:32:09 -0500", micros(2019, 4, 25, 9, 32, 9)),
        ("2019-04-25T09:32:09.25+08", micros(2019, 4, 25, 9, 32, 9) + 250_000),
        ("２０１９／４／２５　９：３２", micros(2019, 4, 25, 9, 32)),
        ("43580.39732638889", micros(2019, 4, 25, 9, 32, 9)),
        ("2016/2/29 23:59:59", micros(2016, 2, 29, 23, 59, 59)),
    ],
)
def test_dates_as_offices_write_them_are_read_as_utc_plus_8(text: str, expected: int) -> None:
    assert parse_instant(text, BOUNDLESS) == Instant(expected, date_only=False)


@pytest.mark.parametrize(
    "text", ["2019/4/25", "2019-04-25 0:00", "2019年4月25日", "20190425", "43580", "2019.04.25"]
)
def test_a_date_alone_and_midnight_mean_only_the_day(text: str) -> None:
    assert parse_instant(text, BOUNDLESS) == Instant(micros(2019, 4, 25), date_only=True)


def test_midnight_with_a_zone_is_an_instant() -> None:
    assert not parse_instant("2019-04-25T00:00:00+08:00", BOUNDLESS).date_only


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2019/2/29", "not a day of the calendar"),
        ("2019-13-01", "not a day of the calendar"),
        ("2019-04-25 24:00", "not a time of day"),
        ("2019-04-25 09:60", "not a time of day"),
        ("2019-04-25T09:00+15:00", "zone that does not exist"),
        ("25.4.2019", "not a date"),
        ("昨天", "not a date"),
        ("1.5e5", "not a date"),
        ("2019-04-25 9:32 下午", "not a date"),
        ("1948-12-31", "before 1949"),
        ("12345", "before 1949"),
    ],
)
def test_what_is_no_date_is_refused(text: str, problem: str) -> None:
    with pytest.raises(CellError, match=problem):
        parse_instant(text, BOUNDLESS)


def test_a_date_may_be_a_day_ahead_of_the_clock_and_no_more() -> None:
    now = micros(2024, 5, 1, 12)
    assert parse_instant("2024-05-02 12:00:00", now).at == now + DAY
    with pytest.raises(CellError, match="future"):
        parse_instant("2024-05-02 12:00:01", now)


def test_a_date_alone_is_not_before_what_came_earlier_on_that_day() -> None:
    message = micros(2018, 3, 19, 10, 5, 4)
    assert not_before(Instant(micros(2018, 3, 19), date_only=True), message) == message
    assert not_before(Instant(micros(2018, 3, 20), date_only=True), message) == micros(2018, 3, 20)
    assert not_before(Instant(micros(2018, 3, 18), date_only=True), message) is None
    assert not_before(Instant(message - 1, date_only=False), message) is None


@pytest.mark.parametrize(
    ("target", "cell", "value"),
    [
        ("persons", " 12 ", 12),
        ("urgent", "是", True),
        ("urgent", "NO", False),
        ("accused", "甲单位、乙单位；丙单位", ["甲单位", "乙单位", "丙单位"]),
        ("area", "370102", "370102"),
        ("channel", "letter", "letter"),
        ("text", " \n ", None),
    ],
)
def test_a_cell_becomes_the_value_of_its_field(target: str, cell: str, value: object) -> None:
    assert converter((targets()[target],), {}, BOUNDLESS)(cell) == value


@pytest.mark.parametrize(
    ("target", "cell", "problem"),
    [
        ("persons", "三人", "not a whole number"),
        ("persons", "0", "at least 1"),
        ("persons", "1000001", "at most 1000000"),
        ("urgent", "可能", "not one of 是"),
        ("channel", "飞鸽", "not one of app, letter"),
        ("area", "山东省", "6 to 12 digits"),
        ("title", "长" * 201, "201 characters, at most 200"),
        ("text", "长" * 4001, "4001 characters, at most 4000"),
        ("decide.opinion", "长" * 20001, "20001 characters, at most 20000"),
        ("petitioner.name", "长" * 501, "501 characters, at most 500"),
        ("petitioner.id_number", "1.1010119900101E+17", "shortened by a spreadsheet"),
        ("accused", "、".join(["甲"] * 51), "51 entries: at most 50"),
    ],
)
def test_a_cell_that_does_not_fit_its_field_is_refused(
    target: str, cell: str, problem: str
) -> None:
    with pytest.raises(CellError, match=problem):
        converter((targets()[target],), {}, BOUNDLESS)(cell)


def test_a_text_at_its_limit_fits() -> None:
    assert converter((targets()["text"],), {}, BOUNDLESS)("\t" + "长" * 4000 + "\n") == "长" * 4000


def test_with_words_for_a_field_other_words_are_refused_but_its_codes_are_good() -> None:
    convert = converter((targets()["petitioner.id_type"],), {"护照": "passport"}, BOUNDLESS)
    assert convert("护照") == convert("passport") == "passport"
    with pytest.raises(CellError, match="not one of 护照"):
        convert("船员证")
