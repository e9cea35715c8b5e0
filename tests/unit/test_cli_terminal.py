"""Text of others is shown on a terminal and never acts on it."""

import io
import json
import logging
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from node.entrypoints.cli import output
from node.entrypoints.cli.status import shown_skew
from node.entrypoints.cli.terminal import SafeFormatter, escaped, escaped_json

BAD = "供暖\x1b[2J\x1b]0;x\x07\x9b31m\x7f\r\u202e反\u2066\u2069\u200f\u2028"
SHOWN = (r"\x1b[2J", r"\x07", r"\x9b31m", r"\x7f", r"\x0d", r"\u202e反", r"\u2066", r"\u2069")


def acts(text: str) -> bool:
    """True if a terminal would do something other than show it or break a line."""
    bidi = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return any(
        (unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") and sign not in "\n\t")
        or unicodedata.bidirectional(sign) in bidi
        for sign in text
    )


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return what a colour terminal is sent, without its own codes."""
    written = io.StringIO()
    for name in ("out", "err"):
        made = Console(file=written, force_terminal=True, color_system=None, width=400)
        monkeypatch.setattr(output, name, made)
    return written


def test_a_table_shows_codes_in_cells_titles_and_columns(screen: io.StringIO) -> None:
    """Seen failing without `escaped`: a title cleared the operator's screen."""
    made = output.table(f"case {BAD}", [BAD, "b"], [(BAD, None)])
    output.print_data({}, output.Format.table, lambda: made)
    for sign in SHOWN:
        assert screen.getvalue().count(sign) == 3
    assert not acts(screen.getvalue())


def test_lines_of_progress_and_errors_show_codes(screen: io.StringIO) -> None:
    output.say(f"error: {BAD}")
    assert all(sign in screen.getvalue() for sign in SHOWN)
    assert not acts(screen.getvalue())


def test_json_is_the_same_value_without_signs_that_act(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"title": BAD, BAD: [BAD]})
    text = capsys.readouterr().out
    assert json.loads(text) == {"title": BAD, BAD: [BAD]}
    assert not acts(text)


def test_a_log_line_stays_one_line_and_shows_codes() -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "title %s", (f"{BAD}\nWARNING",), None)
    text = SafeFormatter("%(levelname)s %(message)s").format(record)
    assert "\n" not in text
    assert not acts(text)
    assert text.endswith((r"\nWARNING", r"\x0aWARNING"))


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_is_escaped_does_not_act(text: str) -> None:
    assert not acts(escaped(text))
    assert "\n" not in escaped(text, one_line=True)


@given(st.text())
def test_whatever_is_in_json_is_read_back(text: str) -> None:
    document = escaped_json(json.dumps([text], ensure_ascii=False))
    assert json.loads(document) == [text]
    assert not acts(document)


def test_chinese_text_is_left_as_it_is() -> None:
    text = "信访件 𠮷 「供暖」——(虚构)\n\t100 % é"
    assert escaped(text) == text


def test_a_clock_that_is_right_is_not_shown_as_minus_zero() -> None:
    """Seen failing with `.1f`: a skew of -20 ms was shown as -0.0."""
    assert [shown_skew(seconds) for seconds in (-0.02, 0.04, -1.26, None)] == [
        *("0.0", "0.0", "-1.3", "unknown"),
    ]
