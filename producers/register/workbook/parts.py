"""Read the small parts of a workbook: its sheets, date system, and formats of cells."""

import posixpath
from dataclasses import dataclass, field
from typing import Final

from producers.register.workbook.number_format import GENERAL, NumberFormat, builtin_format
from producers.register.workbook.package import Package, resolved
from producers.register.workbook.strings import StringTable
from producers.register.workbook.xml import Attributes, Handler, NoXml

_ROOT_RELATIONS: Final = "_rels/.rels"
_TRUE: Final = ("1", "true", "on")
# Programs write far fewer, and these still fit into memory.
_MAX_SHEETS: Final = 1000
_MAX_FORMATS: Final = 100_000


@dataclass
class Workbook:
    """An open workbook. `sheets` are pairs of title and part; `formats` are by style number."""

    package: Package
    sheets: list[tuple[str, str]]
    counts_from_1904: bool
    strings: StringTable
    formats: list[NumberFormat] = field(default_factory=list)

    def format_of(self, style: int) -> NumberFormat:
        """Return the number format of a style, General if there is no such style."""
        return self.formats[style] if 0 <= style < len(self.formats) else GENERAL

    def close(self) -> None:
        """Close the file and remove the temporary files."""
        self.strings.close()
        self.package.close()


class _Elements(Handler):
    """A handler that collects the attributes of some elements of a small part, by name."""

    def __init__(self, *names: str) -> None:
        self.found: dict[str, list[Attributes]] = {name: [] for name in names}

    def start(self, name: str, attributes: Attributes) -> None:
        if name in self.found:
            if len(self.found[name]) >= _MAX_FORMATS:
                raise NoXml(f"too many elements {name}")
            local = {key.rpartition(":")[2]: value for key, value in attributes.items()}
            self.found[name].append(local)


class _Styles(Handler):
    """A handler that collects the formats of cells: `cellXfs` in order, with their codes."""

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}
        self.ids: list[str] = []
        self._in_cells = False

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "cellXfs":
            self._in_cells = True
        elif name == "xf" and self._in_cells:
            self.ids.append(attributes.get("numFmtId", "0"))
        elif name == "numFmt":
            self.codes.setdefault(attributes.get("numFmtId", ""), attributes.get("formatCode", ""))
        if max(len(self.ids), len(self.codes)) > _MAX_FORMATS:
            raise NoXml("too many formats")

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._in_cells = False


def open_workbook(package: Package) -> Workbook:
    """Read all but the sheets; raise `KeyError` or `NoXml` if the package is no workbook."""
    main = _related(package, "", _ROOT_RELATIONS)["officeDocument"][0][1]
    folder = posixpath.dirname(main)
    relations = _related(package, folder, _relations_of(main))
    found = _Elements("workbookPr", "sheet")
    package.read(main, found)
    by_id = dict(relations.get("worksheet", ()))
    titles = {by_id.get(one.get("id", "")): one.get("name", "") for one in found.found["sheet"]}
    sheets = [(title, part) for part, title in titles.items() if part and package.has(part)]
    if len(sheets) > _MAX_SHEETS:
        raise NoXml(f"more than {_MAX_SHEETS} sheets")
    properties = found.found["workbookPr"]
    strings = StringTable()
    try:
        for _, part in relations.get("sharedStrings", ())[:1]:
            strings.read(package, part)
        is_1904 = bool(properties) and properties[0].get("date1904", "") in _TRUE
        book = Workbook(package, sheets, is_1904, strings)
        for _, part in relations.get("styles", ())[:1]:
            book.formats = _formats(package, part)
    except BaseException:
        strings.close()
        raise
    return book


def _formats(package: Package, part: str) -> list[NumberFormat]:
    styles = _Styles()
    package.read(part, styles)
    by_id = {
        number: NumberFormat(styles.codes[number])
        if number in styles.codes
        else builtin_format(number)
        for number in set(styles.ids)
    }
    return [by_id[number] for number in styles.ids]


def _related(package: Package, folder: str, part: str) -> dict[str, list[tuple[str, str]]]:
    """Return the relationships of a part: pairs of id and part, by the last word of the type."""
    found = _Elements("Relationship")
    package.read(part, found)
    related: dict[str, list[tuple[str, str]]] = {}
    for one in found.found["Relationship"]:
        if one.get("TargetMode") != "External":
            kind = one.get("Type", "").rpartition("/")[2]
            target = resolved(one.get("Target", ""), folder)
            related.setdefault(kind, []).append((one.get("Id", ""), target))
    return related


def _relations_of(part: str) -> str:
    folder, name = posixpath.split(part)
    return posixpath.join(folder, "_rels", f"{name}.rels")
