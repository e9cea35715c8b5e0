"""Characters: those of GB18030-2022, those that XML cannot hold, and all others on the way back."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies

from producers.register import RegisterError, Registration, Rejected, load_mapping, read_register
from producers.register.clean_text import clean_line, clean_text
from producers.register.errors import CellError
from producers.register.file_writers import NO_XML, XlsxSink, new_register
from producers.register.private_use import TABLE, assigned
from producers.register.row_writer import RowWriter, Told

MAPPING = load_mapping("register")
ROW = {"登记编号": "1", "信访形式": "来信", "信访日期": "2024-01-08", "标题": "虚构"}
MORNING = 1_704_676_350_000_000  # 2024-01-08 09:12:30 in China
# The two bytes of each code in GB18030, and its character in the edition of 2022; from the tables
# of the standard as published with Unicode and the WHATWG encodings.
GB18030_2022 = {
    "A3A0": "\u3000",
    "A6D9": "︐", "A6DA": "︒", "A6DB": "︑", "A6DC": "︓", "A6DD": "︔",
    "A6DE": "︕", "A6DF": "︖", "A6EC": "︗", "A6ED": "︘", "A6F3": "︙",
    "A8BC": "ḿ",
    "FE51": "𠂇", "FE52": "𠂉", "FE53": "𠃌", "FE59": "龴", "FE61": "龵", "FE66": "龶",
    "FE67": "龷", "FE6C": "𡗗", "FE6D": "龸", "FE76": "𢦏", "FE7E": "龹", "FE90": "龺",
    "FE91": "𤇾", "FEA0": "龻",
}  # fmt: skip


@pytest.mark.parametrize(("code", "character"), GB18030_2022.items())
def test_a_private_use_code_of_gb18030_is_its_character_of_2022(code: str, character: str) -> None:
    decoded = bytes.fromhex(code).decode("gb18030")
    assert 0xE000 <= ord(decoded) <= 0xF8FF
    assert assigned(f"甲{decoded}乙") == f"甲{character}乙"
    assert clean_text(f"甲{decoded}乙\n丙") == f"甲{character}乙\n丙"
    assert clean_line(f"甲{decoded}乙") == f"甲{character}乙"


def test_no_other_character_is_changed_by_that() -> None:
    assert len(TABLE) == len(GB18030_2022) == 26
    others = [chr(code) for code in range(0x20, 0x30000) if code not in TABLE]
    text = "".join(one for one in others if not "\ud800" <= one <= "\udfff")
    assert assigned(text) == text


def test_one_name_is_one_name_in_gb18030_and_in_utf8(tmp_path: Path) -> None:
    for name, codec, written in (
        ("a.csv", "gb18030", "\ue81e\ue5e5\ue816"),
        ("b.csv", "utf-8", "\ue81e\ue5e5\ue816"),
        ("c.csv", "utf-8", "龴\u3000𠂇"),
    ):
        text = (
            f"登记编号,信访形式,信访日期,标\ue5e5题,姓名\n1,来信,2024-05-06,{written},{written}\n"
        )
        (tmp_path / name).write_bytes(text.encode(codec))
    found = [row for n in "abc" for row in read_register(tmp_path / f"{n}.csv", MAPPING)]
    assert all(isinstance(one, Registration) for one in found), found
    assert len({getattr(one, "content_digest", None) for one in found}) == 1
    assert getattr(found[0], "registered", {})["title"] == "龴\u3000𠂇"


def told(title: str, text: str, name: str) -> Told:
    given = {"origin_number": "虚构-1", "channel": "letter", "received_at": MORNING}
    registered = {**given, "title": title, "text": text, "accused": [text[:20]]}
    return Told("110000-20240108-AAAA", "已登记", "北京市", registered, MORNING, [], {"name": name})


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_every_character_of_unicode_comes_back_or_is_seen_to_be_missing(
    tmp_path: Path, suffix: str
) -> None:
    codes = [code for code in range(1, 0x110000) if not 0xD800 <= code <= 0xDFFF]
    texts = ["甲" + "".join(map(chr, codes[at : at + 3000])) for at in range(0, len(codes), 3000)]
    path = tmp_path / f"r{suffix}"
    with new_register(path, force=False, formula_guard=True) as sink:
        sink.write([*ROW, "信访内容"])
        for number, text in enumerate(texts):
            sink.write([str(number), *[*ROW.values()][1:], sink.clean(text)])
    read = [row for row in read_register(path, MAPPING) if isinstance(row, Registration)]
    seen = texts if suffix == ".csv" else [NO_XML.sub("\ufffd", text) for text in texts]
    assert [row.registered["text"] for row in read] == [clean_text(text) for text in seen]


_SIGNS = strategies.characters(exclude_categories=["Cs"], exclude_characters="\0")
_PIECES = strategies.sampled_from(
    [
        *(
            "_x000D_",
            "_x0041_",
            "_x005F_",
            "=",
            "+",
            "-",
            "@",
            "'",
            '"',
            "\r",
            "\n",
            "\t",
            "\ufffe",
        ),
        *("\uffff", "\x01", "\x0b", "\x85", "\u2028", "\ue81e", "\U0001fffe", "\ufdd0", "<", "&"),
        *("\ufeff", '="1"', "1E+5", "#REF!", "nan", "、", ";", "𠮷", "\x7f", "\u200b", "{", "]]>"),
    ]
)
TEXTS = strategies.lists(_PIECES | strategies.text(_SIGNS, max_size=8), max_size=6).map("".join)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
@settings(max_examples=100)
@given(title=TEXTS, text=TEXTS, name=TEXTS)
@example(title="U+FFFE 试\ufffe", text="\uffff\x01", name="_x000D_")
@example(title="_x0041_", text="_x005F_x0041_", name="=1")
def test_an_export_is_always_readable_and_says_truly_whether_it_tells_all(
    suffix: str, title: str, text: str, name: str
) -> None:
    """Over all of Unicode: our import reads the file, and a row that is said to be whole is."""
    case = told(title, text, name)
    writer = RowWriter(MAPPING, MORNING + 10**12)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"r{suffix}"
        with new_register(path, force=False, formula_guard=True) as sink:
            sink.write([*writer.columns])
            cells = [sink.clean(cell) for cell in writer.row(case)]
            sink.write(cells)
            whole = writer.tells_all(case, cells)
        (row,) = read_register(path, MAPPING, clock=lambda: MORNING + 10**12)
    assert isinstance(row, (Registration, Rejected))
    if whole:
        assert isinstance(row, Registration), row
        assert row.registered["title"] == title
        assert row.registered.get("text", "") == text
        assert (row.petitioner or {}).get("name", "") == name


@settings(max_examples=60)
@given(text=TEXTS.filter(lambda text: not NO_XML.search(text)))
def test_every_format_reads_the_same_text(text: str) -> None:
    """A text is the same from CSV, JSON lines and a workbook, or all of them refuse it."""
    cells = {**ROW, "信访内容": text}
    found = set()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in (folder / "r.csv", folder / "r.xlsx"):
            with new_register(path, force=False, formula_guard=True) as sink:
                sink.write([*cells])
                sink.write([*cells.values()])
            found.add(_text_of(path))
        (folder / "r.jsonl").write_text(json.dumps(cells) + "\n", encoding="utf-8")
        found.add(_text_of(folder / "r.jsonl"))
    assert len(found) == 1


def _text_of(path: Path) -> str:
    (row,) = read_register(path, MAPPING, clock=lambda: MORNING)
    return "refused" if isinstance(row, Rejected) else row.registered.get("text", "")


def test_a_text_longer_than_a_cell_of_excel_is_cut_with_a_mark(tmp_path: Path) -> None:
    sink = XlsxSink(tmp_path / "r.xlsx")
    assert sink.clean("长" * 32_767) == "长" * 32_767
    for text in ("长" * 32_768, "_x0041_" * 4_681):
        cut = sink.clean(text)
        assert isinstance(cut, str)
        assert cut.endswith("…")
        assert text.startswith(cut[:-1])
    sink.discard()


def write_long_rows(path: Path) -> None:
    with new_register(path, force=False, formula_guard=True) as sink:
        for _ in range(100):
            sink.write(["长" * 30_000])


def test_what_an_import_would_refuse_for_its_size_is_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.register.workbook.package.HARMLESS_BYTES", 10_000)
    with pytest.raises(RegisterError, match="save it as CSV"):
        write_long_rows(tmp_path / "r.xlsx")
    assert [*tmp_path.iterdir()] == []


@given(strategies.text())
def test_cleaning_never_fails_and_is_done_once(text: str) -> None:
    for clean in (clean_text, clean_line):
        try:
            once = clean(text)
        except CellError:
            continue
        assert clean(once) == once
