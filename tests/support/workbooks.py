"""XLSX workbooks made by hand in tests: what openpyxl does not write, as other programs do."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile

TRANSITIONAL = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
_RELATIONS = {
    TRANSITIONAL: "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    STRICT: "http://purl.oclc.org/ooxml/officeDocument/relationships",
}
_DECLARED = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
HEADER = ("登记编号", "信访形式", "信访日期", "标题", "姓名", "证件号码", "信访内容", "涉及人数")


class Cell(NamedTuple):
    """A cell as XML: the value inside `v`, or the whole content as `xml`."""

    value: str = ""
    kind: str = "n"
    format: str = "General"
    formula: str | None = None
    xml: str = ""


Value = str | Cell | None


def save_workbook(
    path: Path,
    rows: Iterable[Sequence[Value]],
    *,
    namespace: str = TRANSITIONAL,
    shared: Sequence[str] = (),
    after_rows: str = "",
    dimension: str = "A1",
    prefix: str = "",
) -> Path:
    """Save a workbook of one sheet. `shared` are string items as XML, `after_rows` is XML too."""
    formats: list[str] = []
    lines = [_row(number, row, formats) for number, row in enumerate(rows, 1)]
    sheet = f'<dimension ref="{dimension}"/><sheetData>{"".join(lines)}</sheetData>{after_rows}'
    return save_package(
        path,
        [f'{_DECLARED}<worksheet xmlns="{namespace}">{sheet}</worksheet>'.encode()],
        strings="".join(f"<si>{item}</si>" for item in shared),
        formats=formats,
        namespace=namespace,
        prefix=prefix,
    )


def save_package(
    path: Path,
    sheet: Iterable[bytes],
    *,
    strings: str = "",
    formats: Sequence[str] = (),
    namespace: str = TRANSITIONAL,
    prefix: str = "",
    sheets: int = 1,
) -> Path:
    """Save a package around the bytes of a sheet, which `sheets` entries of the workbook name."""
    kind = _RELATIONS[namespace]
    entries = "".join(
        f'<sheet name="s{n}" sheetId="{n}" r:id="rId1"/>' for n in range(1, sheets + 1)
    )
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/'
        'content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": _relations(kind, ("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook xmlns="{namespace}" xmlns:r="{kind}"><sheets>{entries}'
        "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": _relations(
            kind,
            ("worksheet", "worksheets/sheet1.xml"),
            ("styles", "/xl/styles.xml"),
            ("sharedStrings", "sharedStrings.xml"),
        ),
        "xl/styles.xml": _styles(namespace, formats),
        "xl/sharedStrings.xml": f'<sst xmlns="{namespace}">{strings}</sst>',
    }
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, _prefixed(content, prefix) if prefix else content)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            for piece in sheet:
                part.write(_prefixed(piece.decode(), prefix).encode() if prefix else piece)
    return path


def header_row(header: Sequence[str] = HEADER) -> bytes:
    """Return the header as XML, for sheets that are written as bytes."""
    return _row(1, header, []).encode()


def _relations(kind: str, *targets: tuple[str, str]) -> str:
    listed = "".join(
        f'<Relationship Id="rId{n}" Type="{kind}/{name}" Target="{target}"/>'
        for n, (name, target) in enumerate(targets, 1)
    )
    return (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f"{listed}</Relationships>"
    )


def _styles(namespace: str, formats: Sequence[str]) -> str:
    codes = "".join(
        f'<numFmt numFmtId="{164 + n}" formatCode="{escape(code, {chr(34): "&quot;"})}"/>'
        for n, code in enumerate(formats)
    )
    cells = "".join(f'<xf numFmtId="{164 + n}"/>' for n in range(len(formats)))
    return (
        f'<styleSheet xmlns="{namespace}"><numFmts>{codes}</numFmts>'
        f'<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        f'<cellXfs><xf numFmtId="0"/>{cells}</cellXfs></styleSheet>'
    )


def _row(number: int, row: Sequence[Value], formats: list[str]) -> str:
    cells = "".join(
        _cell(f"{chr(64 + place)}{number}", value, formats)
        for place, value in enumerate(row, 1)
        if value is not None
    )
    return f'<row r="{number}">{cells}</row>'


def _cell(reference: str, value: str | Cell, formats: list[str]) -> str:
    if isinstance(value, str):
        inline = f'<is><t xml:space="preserve">{escape(value)}</t></is>'
        return f'<c r="{reference}" t="inlineStr">{inline}</c>'
    if value.format != "General" and value.format not in formats:
        formats.append(value.format)
    style = 0 if value.format == "General" else formats.index(value.format) + 1
    formula = "" if value.formula is None else f"<f>{escape(value.formula)}</f>"
    content = value.xml or f"{formula}<v>{escape(value.value)}</v>"
    return f'<c r="{reference}" s="{style}" t="{value.kind}">{content}</c>'


def _prefixed(xml: str, prefix: str) -> str:
    """Give every element of the XML a prefix, as some programs do."""
    made = re.sub(r"<(/?)(?=[A-Za-z])", rf"<\1{prefix}:", xml)
    return made.replace(" xmlns=", f" xmlns:{prefix}=")
