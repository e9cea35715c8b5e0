"""The reject file: there only if something was rejected, and good to correct and import again."""

import csv
import json
import os
import stat
from pathlib import Path

import pytest

from producers.register import (
    RegisterError,
    Registration,
    Rejected,
    RejectWriter,
    load_mapping,
    read_register,
    reject_path,
)

MAPPING = load_mapping("register")
TEXT = """登记编号,信访形式,信访日期,标题
1,来信,2024-05-06,虚构一
2,来信,昨天,"虚构
二"
3,来信,2024-05-06,虚构三,多余,"再,多"
4,"来信,2024-05-06,虚构四
"""


def reject(register: Path) -> Path:
    with RejectWriter(reject_path(register)) as writer:
        for row in read_register(register, MAPPING):
            if isinstance(row, Rejected):
                writer.write(row)
        assert writer.count == 3
        return writer.path


def saved(folder: Path) -> Path:
    path = folder / "register.csv"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.mark.parametrize("mode_before", [None, 0o644, 0o666, 0o640])
def test_only_its_owner_reads_a_reject_file(tmp_path: Path, mode_before: int | None) -> None:
    """Seen failing: petitioners stood in a file of mode 0644."""
    path = reject_path(saved(tmp_path))
    if mode_before is not None:
        path.touch()
        path.chmod(mode_before)
    before = os.umask(0)
    try:
        reject(tmp_path / "register.csv")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_reject_file_may_be_a_device(tmp_path: Path) -> None:
    mode = Path("/dev/null").stat().st_mode
    rejected = [r for r in read_register(saved(tmp_path), MAPPING) if isinstance(r, Rejected)]
    with RejectWriter(Path("/dev/null")) as writer:
        writer.write(rejected[0])
    assert Path("/dev/null").stat().st_mode == mode


def test_a_reject_file_has_place_reason_and_all_original_cells(tmp_path: Path) -> None:
    path = reject(saved(tmp_path))
    assert path == tmp_path / "register.rejected.csv"
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        bad_date, too_many, unclosed = csv.DictReader(file)
    assert list(bad_date) == [
        *("行号/row", "文件行/line", "原因/reason"),
        *("登记编号", "信访形式", "信访日期", "标题", "其余/rest"),
    ]
    assert (bad_date["行号/row"], bad_date["文件行/line"]) == ("2", "3")
    assert "is not a date" in bad_date["原因/reason"]
    assert bad_date["标题"] == "虚构\n二"
    assert json.loads(too_many["其余/rest"]) == ["多余", "再,多"]
    assert unclosed["其余/rest"] == '4,"来信,2024-05-06,虚构四'


def test_a_corrected_reject_file_is_imported_as_it_is(tmp_path: Path) -> None:
    path = reject(saved(tmp_path))
    path.write_text(path.read_text(encoding="utf-8").replace("昨天", "2024-05-05"), "utf-8")
    corrected, *others = read_register(path, MAPPING)
    assert isinstance(corrected, Registration)
    assert corrected.origin_number == "2"
    assert all(
        isinstance(row, Rejected) and "其余/rest is not empty" in row.reason for row in others
    )


def test_nothing_is_made_without_a_rejected_row(tmp_path: Path) -> None:
    with RejectWriter(tmp_path / "none.csv"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_keys_that_the_first_rejected_row_had_not_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    with RejectWriter(path) as writer:
        writer.write(Rejected(1, 1, "虚构", {"甲": "\ud800"}))
        writer.write(Rejected(2, 2, "虚构", {"甲": "1", "乙": "2", "其余/rest": "3"}))
    with path.open(encoding="utf-8-sig", newline="") as file:
        first, second = csv.DictReader(file)
    assert first["甲"] == "\\ud800"
    assert json.loads(second["其余/rest"]) == {"乙": "2", "其余/rest": "3"}


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "r.csv"
    with RejectWriter(path) as writer, pytest.raises(RegisterError, match="name another place"):
        writer.write(Rejected(1, 1, "虚构", {}))


def test_a_rejected_formula_is_disarmed_and_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(
        '{"登记编号": "1", "信访形式": "来信", "信访日期": "昨天", "标题": "\'=cmd()"}\n', "utf-8"
    )
    (rejected,) = read_register(path, MAPPING)
    assert isinstance(rejected, Rejected)
    with RejectWriter(reject_path(path), formula_guard=MAPPING.formula_guard) as writer:
        writer.write(rejected)
    text = writer.path.read_text(encoding="utf-8-sig")
    assert "''=cmd()" in text
    writer.path.write_text(text.replace("昨天", "2024-05-05"), "utf-8")
    (corrected,) = read_register(writer.path, MAPPING)
    assert isinstance(corrected, Registration)
    assert corrected.registered["title"] == "'=cmd()"
