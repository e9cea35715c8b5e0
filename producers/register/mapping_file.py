"""Read a mapping from its file 映射文件, a small TOML file that is checked entry by entry.

    title    = "…"                      the registers that it is for
    source   = "messages"               name of the numbering: with the number it identifies a row
    required = ["留言详情"]             columns that a file must have, besides those of targets
                                        that every row must fill; they identify the file
    ignored  = ["点赞数"]               columns to pass over; ["*"] for all others
    implied  = ["accept"]               commands that the data do not contain themselves: they
                                        count only if the row has a later one
    formula_guard = true                in CSV, a ' marks texts that look like a formula

    [columns]                           column = target, or several targets
    "留言编号" = "origin_number"
    "留言用户" = ["petitioner.name", "petitioner.id_number"]

    [constants]                         for a target without a column, or where the cell is empty
    channel = "web"

    [values.channel]                    words of the register for the codes of a target
    "来信" = "letter"

Targets are listed in `producers.register.targets`. A column that is neither mapped nor ignored is
refused, so that a misspelt header cannot lose its content unnoticed.
"""

import tomllib
from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping as Table
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from producers.register.case_steps import HANDLING
from producers.register.cell_values import BOUNDLESS, converter
from producers.register.errors import CellError, RegisterError
from producers.register.mapping import Mapping, same_headers
from producers.register.targets import AT, FieldKind, Target, parts_of, required_targets, targets

SHIPPED_FOLDER: Final = Path(__file__).parent.parent / "mappings"

_KEYS = tuple(field.name for field in fields(Mapping) if field.name != "name")


def load_mapping(name_or_path: str | Path) -> Mapping:
    """Return a shipped mapping by its name, or any other by the path of its TOML file.

    Raises `RegisterError`, which names the file, the entry and the cure.
    """
    shipped = SHIPPED_FOLDER / f"{name_or_path}.toml"
    path = shipped if str(name_or_path) in shipped_names() else Path(name_or_path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RegisterError(
            f"mapping {str(name_or_path)!r} is neither shipped nor a file: "
            f"use {' or '.join(shipped_names())}, or the path of a TOML file"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RegisterError(f"mapping {path}: cannot be read as TOML: {error}") from None
    return _Parser(path).parse(table)


def shipped_names() -> list[str]:
    """Return the names of the mappings that come with the product."""
    return sorted(path.stem for path in SHIPPED_FOLDER.glob("*.toml"))


class _Parser:
    """A parser that checks one TOML table against the targets."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def parse(self, table: dict[str, Any]) -> Mapping:
        for key in table:
            if key not in _KEYS:
                raise self._wrong(f"key {key!r} is unknown: use {', '.join(_KEYS)}")
        values = {
            target: self._words(target, words)
            for target, words in self._table(table, "values").items()
        }
        mapping = Mapping(
            name=self._path.stem,
            title=self._text(table, "title"),
            source=self._text(table, "source"),
            columns=MappingProxyType(dict(self._columns(table))),
            constants=MappingProxyType(dict(self._constants(table, values))),
            values=MappingProxyType(values),
            required=self._names(table, "required"),
            ignored=self._names(table, "ignored"),
            implied=self._names(table, "implied"),
            formula_guard=self._flag(table, "formula_guard"),
        )
        self._check_columns(mapping)
        self._check_targets(mapping)
        self._check_implied(mapping)
        return mapping

    def _columns(self, table: dict[str, Any]) -> Iterator[tuple[str, tuple[Target, ...]]]:
        for column, given in self._table(table, "columns").items():
            names = given if isinstance(given, list) else [given]
            if not names:
                raise self._wrong(f"column {column!r} has no target: list it under 'ignored'")
            found = tuple(self._target(name, f"columns.{column}") for name in names)
            if len({target.kind for target in found}) > 1:
                kind = found[0].kind.value
                raise self._wrong(f"column {column!r} cannot be a {kind} and another")
            yield column, found

    def _constants(
        self, table: dict[str, Any], values: dict[str, Table[str, Any]]
    ) -> Iterator[tuple[str, Any]]:
        for name, given in self._table(table, "constants").items():
            target = self._target(name, "constants")
            if target.kind is FieldKind.INSTANT:
                raise self._wrong(f"constants: {name} is a date and needs a column")
            yield name, self._converted(target, given, values.get(name, {}), "constants")

    def _words(self, name: str, words: object) -> Table[str, Any]:
        target = self._target(name, "values")
        if not isinstance(words, dict):
            raise self._wrong(f"values.{name}: must be a table of words and codes")
        if target.kind not in (FieldKind.LINE, FieldKind.FLAG):
            raise self._wrong(f"values.{name}: a {target.kind.value} has no words")
        return MappingProxyType(
            {
                word: self._converted(target, code, {}, f"values.{name}.{word}")
                for word, code in words.items()
            }
        )

    def _converted(self, target: Target, given: object, words: Table[str, Any], where: str) -> Any:
        text = str(given).lower() if isinstance(given, bool) else str(given)
        try:
            return converter((target,), words, BOUNDLESS)(text)
        except CellError as error:
            raise self._wrong(f"{where}: {target.name} = {given!r} {error}") from None

    def _target(self, name: object, where: str) -> Target:
        target = targets().get(name) if isinstance(name, str) else None
        if target is None:
            raise self._wrong(f"{where}: target {name!r} is unknown: use {', '.join(targets())}")
        return target

    def _check_columns(self, mapping: Mapping) -> None:
        if alike := same_headers(mapping.columns):
            raise self._wrong(f"columns {alike[0]!r} and {alike[1]!r} differ only in layout")
        for column in mapping.required:
            if column not in mapping.columns and column not in mapping.ignored:
                raise self._wrong(f"required column {column!r} is neither mapped nor ignored")
        for column in mapping.ignored & set(mapping.columns):
            raise self._wrong(f"column {column!r} is both mapped and ignored: choose one")

    def _check_targets(self, mapping: Mapping) -> None:
        names = [target.name for filled in mapping.columns.values() for target in filled]
        for name, times in Counter(names).items():
            if times > 1:
                raise self._wrong(f"target {name!r} has {times} columns: leave one")
        given = {*names, *mapping.constants}
        for name in required_targets():
            if name not in given:
                raise self._wrong(f"target {name!r} is required: give it a column or a constant")
        self._check_handling(given)

    def _check_handling(self, given: set[str]) -> None:
        """Check that a command has its date, its required fields and a command before it."""
        told = {command for command in HANDLING if f"{command}.{AT}" in given}
        for command, step in HANDLING.items():
            own = [target for name, target in targets().items() if parts_of(name)[0] == command]
            if not any(target.name in given for target in own):
                continue
            needed = [target.name for target in own if target.required]
            if step.after and told.isdisjoint(step.after):
                needed.insert(0, f"{step.after[0]}.{AT}")
            for name in needed:
                if name not in given:
                    raise self._wrong(f"{command} needs target {name!r}: give it a column")

    def _check_implied(self, mapping: Mapping) -> None:
        for command in mapping.implied:
            if mapping.column_of(f"{command}.{AT}") not in mapping.columns:
                raise self._wrong(
                    f"implied command {command!r} has no column for its date "
                    f"{command}.{AT}: give it one, or remove it from 'implied'"
                )

    def _text(self, table: dict[str, Any], key: str) -> str:
        given = table.get(key)
        if not isinstance(given, str) or not given.strip():
            raise self._wrong(f'{key!r} is missing: write {key} = "…"')
        return given.strip()

    def _names(self, table: dict[str, Any], key: str) -> frozenset[str]:
        given = table.get(key, [])
        if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
            raise self._wrong(f"{key!r} must be a list of column names")
        return frozenset(given)

    def _flag(self, table: dict[str, Any], key: str) -> bool:
        given = table.get(key, False)
        if not isinstance(given, bool):
            raise self._wrong(f"{key!r} must be true or false")
        return given

    def _table(self, table: dict[str, Any], key: str) -> dict[str, Any]:
        given = table.get(key, {})
        if not isinstance(given, dict):
            raise self._wrong(f"{key!r} must be a table: write [{key}]")
        return given

    def _wrong(self, problem: str) -> RegisterError:
        return RegisterError(f"mapping {self._path}: {problem}")
