"""The list of protections is in step with the code and with docs/protections.md."""

import ast
from pathlib import Path

import pytest
from fault_list import FAULTS, Fault
from protection_list import PROTECTIONS, Protection
from protections import broken, page

ROOT = Path(__file__).parents[2]
IDS = [one.name for one in PROTECTIONS]


@pytest.mark.parametrize("protection", PROTECTIONS, ids=IDS)
def test_a_protection_is_once_where_the_list_says_and_can_be_taken_out(
    protection: Protection,
) -> None:
    text = (ROOT / protection.file).read_text(encoding="utf-8")
    without = broken(protection, text)
    assert without != text
    if protection.file.endswith(".py"):
        ast.parse(without)


@pytest.mark.parametrize("protection", PROTECTIONS, ids=IDS)
def test_the_tests_of_a_protection_are_there(protection: Protection) -> None:
    for test in protection.tests:
        file, _, name = test.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert f"\ndef {name.partition('[')[0]}(" in text, test


@pytest.mark.parametrize("fault", FAULTS, ids=[one.name for one in FAULTS])
def test_the_tests_of_a_fault_are_there(fault: Fault) -> None:
    for test in fault.tests:
        file, _, name = test.partition("::")
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert not name or f"\ndef {name}(" in text, test


def test_the_page_is_made_from_the_list() -> None:
    assert (ROOT / "docs" / "protections.md").read_text(encoding="utf-8") == page()
