"""Rows of the product's own format: what a registration has, and why a row is rejected."""

from pathlib import Path

import pytest
from support.register_rows import micros, read_one, reason, registration

from producers.register import Rejected
from producers.register.case_steps import HANDLING
from schemas.catalogue import catalogue
from schemas.validation.forms import fill

GOOD = {
    "登记编号": "虚构-1",
    "信访形式": "来信",
    "信访日期": "2024-05-06 09:00",
    "标题": "虚构标题",
}
HANDLED = {
    **GOOD,
    "受理时间": "2024-05-07",
    "处理结果": "支持",
    "答复意见": "虚构答复",
    "答复时间": "2024-05-08 10:00",
    "送达时间": "2024-05-08",
    "办结时间": "2024-05-09",
}


def test_a_row_has_only_the_fields_that_were_given(tmp_path: Path) -> None:
    read = registration(tmp_path, {**GOOD, "信访目的": " ", "涉及人数": "5", "是否公开": "否"})
    assert read.registered == {
        "origin_number": "虚构-1",
        "channel": "letter",
        "received_at": micros(2024, 5, 6, 9),
        "title": "虚构标题",
        "persons": 5,
        "public": False,
    }
    assert (read.row, read.line, read.source) == (1, 2, "register")
    assert (read.origin_number, read.petitioner, read.handling) == ("虚构-1", None, [])
    assert read.received_at == read.registered_at == micros(2024, 5, 6, 9)
    assert read.cells["涉及人数"] == "5"


def test_the_registration_has_its_own_time_not_before_the_petition(tmp_path: Path) -> None:
    assert registration(tmp_path, {**GOOD, "登记时间": "2024-05-07 08:00"}).registered_at == micros(
        2024, 5, 7, 8
    )
    same_day = registration(tmp_path, {**GOOD, "登记时间": "2024-05-06"})
    assert same_day.registered_at == same_day.received_at
    assert "登记时间 lies before 信访日期" in reason(tmp_path, {**GOOD, "登记时间": "2024-05-05"})


def test_the_petitioner_is_apart_from_the_registration(tmp_path: Path) -> None:
    read = registration(tmp_path, {**GOOD, "姓名": "张示例", "证件号码": "000", "住址": "\u3000"})
    assert read.petitioner == {"name": "张示例", "id_type": "resident_id", "id_number": "000"}
    assert "张示例" not in str(read.registered)


def test_an_identity_type_alone_is_not_made_up(tmp_path: Path) -> None:
    assert registration(tmp_path, {**GOOD, "姓名": "张示例"}).petitioner == {"name": "张示例"}


def test_handling_becomes_commands_in_the_order_of_a_life(tmp_path: Path) -> None:
    row = {**HANDLED, "责任单位": "虚构单位", "送达方式": "邮寄"}
    decided = {"unit": "虚构单位", "outcome": "supported", "opinion": "虚构答复"}
    assert registration(tmp_path, row).handling == [
        ("accept", micros(2024, 5, 7), {"unit": "虚构单位"}),
        ("decide", micros(2024, 5, 8, 10), decided),
        ("serve", micros(2024, 5, 8, 10), {"method": "post"}),
        ("close", micros(2024, 5, 9), {}),
    ]


def test_the_whole_life_that_a_row_can_tell(tmp_path: Path) -> None:
    row = {
        **HANDLED,
        "办结时间": "",
        "交办时间": "2024-05-06",
        "交办节点": "山东省",
        "报告期限": "2024-12-31",
        "落地时间": "2024-05-06 16:00",
        "承接单位": "虚构局",
        "责任单位": "虚构单位",
        "延期时间": "2024-05-07 12:00",
        "延期天数": "20",
        "延期理由": "情况复杂",
        "延期批准人": "单位负责人",
        "延期告知时间": "2024-05-07",
    }
    read = registration(tmp_path, row).handling
    assert [name for name, _, _ in read] == [
        *("assign", "land", "accept", "extend", "decide", "serve")
    ]
    told = {name: (at, fields) for name, at, fields in read}
    # A deadline may lie ahead; a day alone is not before what came earlier on it.
    due = {"to": "370000", "report_due_at": micros(2024, 12, 31)}
    assert told["assign"] == (micros(2024, 5, 6, 9), due)
    noon = micros(2024, 5, 7, 12)
    assert told["extend"][0] == told["extend"][1]["told_at"] == noon
    assert told["extend"][1]["unit"] == told["decide"][1]["unit"] == "虚构单位"


def test_a_refusal_ends_a_row(tmp_path: Path) -> None:
    row = {
        **GOOD,
        "不予受理时间": "2024-05-07",
        "不予受理理由": "虚构理由",
        "其他途径": "诉讼",
        "不予受理依据": "第十八条",
        "不予受理告知时间": "2024-05-09",
        "责任单位": "虚构单位",
    }
    fields = {
        "unit": "虚构单位",
        "reasons": "虚构理由",
        "article": "第十八条",
        "guidance": "诉讼",
        "told_at": micros(2024, 5, 9),
    }
    assert registration(tmp_path, row).handling == [("not_accept", micros(2024, 5, 7), fields)]


def test_a_row_says_which_case_it_was_exported_from(tmp_path: Path) -> None:
    row = {**GOOD, "信访件编号": "110000-20240506-AAAA", "现状态": "已登记", "现承办节点": "北京市"}
    read = registration(tmp_path, row)
    assert read.exported_case == "110000-20240506-AAAA"
    plain = registration(tmp_path, GOOD)
    assert (plain.exported_case, plain.content_digest) == ("", read.content_digest)


def test_a_unit_may_have_accepted_and_not_yet_decided(tmp_path: Path) -> None:
    row = {**GOOD, "受理时间": "2024-05-07", "责任单位": "虚构单位", "答复时间": ""}
    assert registration(tmp_path, row).handling == [
        ("accept", micros(2024, 5, 7), {"unit": "虚构单位"})
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"受理时间": ""}, "答复时间 is filled but 受理时间 is empty"),
        ({"答复意见": ""}, "答复时间 is filled but 答复意见 is empty"),
        ({"处理结果": ""}, "答复时间 is filled but 处理结果 is empty"),
        ({"答复时间": ""}, "处理结果 is filled but 答复时间 is empty"),
        ({"送达时间": ""}, "办结时间 is filled but 送达时间 is empty"),
        ({"受理时间": "2024-05-05"}, "受理时间 lies before 信访日期"),
        ({"答复时间": "2024-05-06 23:59"}, "答复时间 lies before 受理时间"),
        ({"送达时间": "2024-05-07"}, "送达时间 lies before 答复时间"),
        ({"处理结果": "不明"}, '处理结果: "不明" is not one of 支持, 解释说明'),
        ({"落地时间": "2024-05-06"}, "落地时间 is filled but 转送时间 or 交办时间 is empty"),
        ({"转送时间": "2024-05-06"}, "转送时间 is filled but 转送节点 is empty"),
        ({"转送节点": "山东省"}, "转送节点 is filled but 转送时间 is empty"),
        (
            {"转送时间": "2024-05-06", "交办时间": "2024-05-06"},
            "columns 转送时间 and 交办时间 are both filled",
        ),
        (
            {"不予受理时间": "2024-05-07", "不予受理理由": "虚构", "不予受理依据": "虚构"},
            "columns 受理时间 and 不予受理时间 are both filled",
        ),
        ({"延期时间": "2024-05-07"}, "延期时间 is filled but 延期天数 is empty"),
        ({"延期天数": "31"}, '延期天数: "31" is too large: at most 30'),
        ({"转送节点": "江南省"}, '转送节点: "江南省" is not one of 国家信访局, 北京市'),
    ],
)
def test_handling_that_cannot_have_been_so_is_rejected(
    tmp_path: Path, change: dict[str, str], problem: str
) -> None:
    assert problem in reason(tmp_path, HANDLED | change)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"登记编号": "\u3000"}, "column 登记编号 is empty: fill it in"),
        ({"标题": ""}, "column 标题 is empty: fill it in"),
        ({"登记编号": "长" * 39}, "39 characters, at most 38 fit"),
        ({"信访形式": "飞鸽"}, '信访形式: "飞鸽" is not one of 来信, 来访, 网上'),
        ({"信访日期": "2024-02-30"}, '信访日期: "2024-02-30" is not a day of the calendar'),
        ({"信访日期": "2024-06-03"}, "lies in the future"),
        ({"信访日期": "1924-05-06"}, "lies before 1949"),
        ({"标题": "虚\0构"}, "column 标题 has a NUL or half of a surrogate pair"),
    ],
)
def test_a_row_that_is_no_registration_is_rejected_with_one_sentence(
    tmp_path: Path, change: dict[str, str], problem: str
) -> None:
    assert problem in reason(tmp_path, GOOD | change)


def test_a_reason_never_quotes_who_the_petitioner_is(tmp_path: Path) -> None:
    told = reason(tmp_path, {**GOOD, "证件号码": "9.99E+17"})
    assert "column 证件号码: the value was shortened" in told
    assert "9.99" not in told


def test_a_rejected_row_keeps_its_cells_as_they_were(tmp_path: Path) -> None:
    read = read_one(tmp_path, {**GOOD, "信访日期": " 昨天\t"})
    assert isinstance(read, Rejected)
    assert (read.row, read.line) == (1, 2)
    assert read.cells == {**GOOD, "信访日期": " 昨天\t"}


def test_the_schemas_take_every_field_of_a_registration(tmp_path: Path) -> None:
    """The reading side and the forms of the writing side have the same idea of a field."""
    read = registration(tmp_path, {**HANDLED, "是否联名": "是", "被检举控告对象": "甲、乙"})
    by_type = catalogue().by_type
    assert fill(by_type["petition.case.registered.v1"], read.registered)["accused"] == ["甲", "乙"]
    for command, _, fields in read.handling:
        fill(by_type[HANDLING[command].event_type], fields)


def test_the_digest_knows_the_same_content_and_tells_other_content(tmp_path: Path) -> None:
    first = registration(tmp_path, GOOD).content_digest
    assert len(first) == 64
    dressed = {**GOOD, "信访日期": "2024年5月6日9时", "标题": "\u3000虚构标题\n", "涉及人数": ""}
    assert registration(tmp_path, dressed).content_digest == first
    assert registration(tmp_path, dict(reversed(GOOD.items()))).content_digest == first
    for change in ({"标题": "别的"}, {"姓名": "张示例"}, {"信访日期": "2024-05-06 09:01"}):
        assert registration(tmp_path, GOOD | change).content_digest != first
