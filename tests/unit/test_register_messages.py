"""A published message becomes commands: registered, accepted, decided, served."""

from pathlib import Path

import pytest
from support.register_rows import micros, reason, registration

from producers.register import load_mapping


def message(**change: str) -> dict[str, str]:
    row = {
        "留言编号": "1",
        "留言用户": "U1",
        "留言主题": "虚构主题",
        "留言时间": "2018/3/19 10:05:04",
        "留言详情": "虚构内容",
        "答复意见": "虚构答复",
        "答复时间": "2018/4/24",
    }
    return row | change


def test_an_answered_message_was_accepted_when_it_came_and_served_when_answered(
    tmp_path: Path,
) -> None:
    read = registration(tmp_path, message(), load_mapping("messages"))
    at = micros(2018, 4, 24)
    assert read.handling == [
        ("accept", read.received_at, {}),
        ("decide", at, {"outcome": "explained", "opinion": "虚构答复"}),
        ("serve", at, {"method": "online"}),
    ]
    assert read.petitioner == {"name": "U1", "id_number": "U1", "id_type": "account"}
    assert read.registered["channel"] == "web"


def test_a_reply_dated_by_its_day_alone_is_not_before_its_message(tmp_path: Path) -> None:
    read = registration(tmp_path, message(答复时间="2018/3/19"), load_mapping("messages"))
    assert {at for _, at, _ in read.handling} == {read.received_at}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"答复时间": "2018/3/18"}, "答复时间 lies before 留言时间"),
        ({"答复时间": ""}, "答复意见 is filled but 答复时间 is empty"),
        ({"答复意见": "\t\n"}, "答复时间 is filled but 答复意见 is empty"),
    ],
)
def test_half_a_reply_or_one_before_its_message_is_rejected(
    tmp_path: Path, change: dict[str, str], problem: str
) -> None:
    assert problem in reason(tmp_path, message(**change), load_mapping("messages"))


def test_a_message_without_reply_is_only_registered(tmp_path: Path) -> None:
    row = message(答复时间="", 答复意见="")  # that it was accepted is not assumed either
    assert registration(tmp_path, row, load_mapping("messages")).handling == []
