"""The sections, rows, pages and files that code, tests and documents refer to exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_list import FAULTS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGES = ("schemas", "cases", "node", "producers", "consumers", "benchmarks", "tests", "deploy")
# A row without a test yet; docs/faults.md says so.
WITHOUT_A_TEST = {33}

_page = re.compile(r"\bdocs/([a-z-]+)\.md\b")
_citation = re.compile(r"\bdocs/(contract|domain|faults)\.md (?:§|(?=\d))(\d+)(?: and (\d+))?")
_section = re.compile(r"^## (\d+)\. ", re.MULTILINE)
_row = re.compile(r"^\| (\d+) \|", re.MULTILINE)
_path = re.compile(rf"`((?:{'|'.join(PACKAGES)})/[\w./-]+\.(?:py|sql|toml|csv|env|json|md))`")


def _sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (path for path in (ROOT / package).rglob("*.py") if path != Path(__file__))
    yield from DOCS.rglob("*.md")
    yield ROOT / "README.md"


def _numbers(page: str) -> set[str]:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    return {*(_row if page == "faults" else _section).findall(text)}


def test_every_cited_section_and_row_exists() -> None:
    known = {page: _numbers(page) for page in ("contract", "domain", "faults")}
    cited = 0
    missing = []
    for path in _sources():
        for page, *numbers in _citation.findall(path.read_text(encoding="utf-8")):
            cited += 1
            missing += [
                f"{path.relative_to(ROOT)}: {page} {number}"
                for number in numbers
                if number and number not in known[page]
            ]
    assert missing == []
    assert cited > 50


def test_every_page_that_is_named_exists() -> None:
    missing = [
        f"{path.relative_to(ROOT)}: docs/{name}.md"
        for path in _sources()
        for name in _page.findall(path.read_text(encoding="utf-8"))
        if not (DOCS / f"{name}.md").exists()
    ]
    assert missing == []


def _documents() -> list[Path]:
    return sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "tests" / "README.md"])


@pytest.mark.parametrize("document", _documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    named = {*_path.findall(document.read_text(encoding="utf-8"))}
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_every_fault_has_a_row_and_every_row_a_test_or_says_that_it_has_none() -> None:
    rows = {int(number) for number in _numbers("faults")}
    assert rows == {fault.number for fault in FAULTS} | WITHOUT_A_TEST
