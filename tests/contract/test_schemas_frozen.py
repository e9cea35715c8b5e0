"""A released schema is never edited, and a new version must fit all the others."""

import copy
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse
from fastavro.schema import fingerprint, to_parsing_canonical_form
from support import golden

from schemas.catalogue import CATALOGUE_FILE, EVENTS_FOLDER, catalogue, load
from schemas.evolution import compatibility
from schemas.evolution.resolution import differences, expanded, unsuitable_types

TYPE = "petition.case.registered.v1"
Edit = Callable[[dict[str, Any]], Any]


class Release:
    """A copy of what ships, to be tampered with."""

    def __init__(self, folder: Path) -> None:
        self.file = Path(shutil.copy(CATALOGUE_FILE, folder))
        self.events = Path(shutil.copytree(EVENTS_FOLDER, folder / "events"))

    def problems(self) -> list[str]:
        return compatibility.problems(load(self.file, self.events))

    def edit_catalogue(self, edit: Callable[[list[dict[str, Any]]], Any]) -> None:
        entries = json.loads(self.file.read_text())
        edit(entries)
        self.file.write_text(json.dumps(entries))

    def edit_schema(self, edit: Edit) -> None:
        """Edit a released file and bring the catalogue in step with it."""
        entry = self.write_schema(TYPE, edit)
        self.edit_catalogue(lambda entries: entries[0].update(entry))

    def add_version(self, edit: Edit) -> None:
        entry = self.write_schema(TYPE.replace(".v1", ".v2"), edit)
        self.edit_catalogue(lambda entries: entries.append({"id": 31, **entry}))

    def write_schema(self, type_: str, edit: Edit) -> dict[str, Any]:
        avro = json.loads((self.events / f"{TYPE}.avsc").read_text())
        edit(avro)
        content = json.dumps(avro).encode()
        (self.events / f"{type_}.avsc").write_bytes(content)
        return {
            "type": type_,
            "file": f"{type_}.avsc",
            "fingerprint": fingerprint(to_parsing_canonical_form(avro), "CRC-64-AVRO"),
            "sha256": hashlib.sha256(content).hexdigest(),
        }


def golden_problems(release: Release) -> list[str]:
    """Examples whose schema is not in the catalogue as it was when they were made."""
    entries = {entry["id"]: entry for entry in json.loads(release.file.read_text())}
    return [
        example.name
        for example in golden.load_all(release.events)
        if {**example.schema, "type": example.schema["file"].removesuffix(".avsc")}
        != entries.get(example.schema["id"])
    ]


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path)


def field(avro: dict[str, Any], name: str) -> dict[str, Any]:
    return next(part for part in avro["fields"] if part["name"] == name)


def rename(avro: dict[str, Any]) -> None:
    field(avro, "title").update(name="heading")


ADDED = {"name": "language", "type": "string", "default": "", "doc": "Language. 语言。"}
EDITS: dict[str, Edit] = {
    "a field is renamed": rename,
    "a field is added": lambda avro: avro["fields"].append(ADDED),
    "a default is changed": lambda avro: field(avro, "persons").update(default=2),
    "a doc is changed": lambda avro: avro.update(doc="Another text."),
    "a limit is changed": lambda avro: field(avro, "title").update(max_length=300),
}


def test_what_ships_is_as_released(release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.problems() == []
    assert golden_problems(release) == []
    assert compatibility.main() == 0
    assert "30 schemas" in capsys.readouterr().out


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_of_a_released_schema_is_refused(release: Release, edit: Edit) -> None:
    release.write_schema(TYPE, edit)
    assert any("is not the released one" in line for line in release.problems())


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_in_step_with_the_catalogue_is_refused_by_the_golden_examples(
    release: Release, edit: Edit
) -> None:
    release.edit_schema(edit)
    assert release.problems() == []
    assert TYPE in golden_problems(release)


def test_ids_that_change_places_are_refused_by_the_golden_examples(release: Release) -> None:
    release.edit_catalogue(lambda entries: (entries[0].update(id=2), entries[1].update(id=1)))
    assert release.problems() == []
    assert {TYPE, "petition.case.identified.v1"} <= set(golden_problems(release))


def test_a_type_that_is_left_out_is_missed(release: Release) -> None:
    release.edit_catalogue(lambda entries: entries.pop())
    assert release.problems() == ["catalogue: there is no petition.evaluation.expired"]


def test_a_file_that_is_missing_is_named(release: Release) -> None:
    (release.events / f"{TYPE}.avsc").unlink()
    assert any(TYPE in line and "cannot be read" in line for line in release.problems())


def test_a_wrong_fingerprint_is_refused(release: Release) -> None:
    release.edit_catalogue(lambda entries: entries[0].update(fingerprint="0" * 16))
    assert release.problems() == [f"{TYPE}.avsc: its fingerprint is not the one in the catalogue"]


def test_a_record_that_does_not_begin_with_the_envelope_is_refused(release: Release) -> None:
    release.edit_schema(lambda avro: avro["fields"].insert(0, ADDED))
    assert f"{TYPE}.avsc: does not begin with the envelope" in release.problems()


def test_an_envelope_of_another_type_is_refused(release: Release) -> None:
    release.edit_schema(lambda avro: field(avro, "version").update(type="int"))
    assert any("its envelope is not that of" in line for line in release.problems())


def test_problems_are_printed_and_the_exit_code_is_1(
    release: Release, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release.write_schema(TYPE, rename)
    monkeypatch.setattr(compatibility, "catalogue", lambda: load(release.file, release.events))
    assert compatibility.main() == 1
    assert f"error: schema {TYPE}.avsc is not the released one" in capsys.readouterr().err


def _drop(name: str) -> Edit:
    return lambda avro: avro["fields"].remove(field(avro, name))


COMPATIBLE: dict[str, Edit] = {
    "nothing changes": lambda avro: None,
    "a field with a default is added": lambda avro: avro["fields"].append(ADDED),
    "a field with a default is dropped": _drop("purpose"),
    "docs, codes and limits change": lambda avro: field(avro, "title").update(
        doc="New.", max_length=300
    ),
    "a nested field with a default is added": lambda avro: field(avro, "clocks")["type"]["items"][
        "fields"
    ].append(ADDED),
}
INCOMPATIBLE: dict[str, Edit] = {
    "a field without a default is added": lambda avro: avro["fields"].append(
        {"name": "language", "type": "string"}
    ),
    "a field without a default is dropped": _drop("title"),
    "a field is renamed": rename,
    "a type changes": lambda avro: field(avro, "title").update(type="long"),
    "a number is widened": lambda avro: field(avro, "persons").update(type="long"),
    "a field may be null": lambda avro: field(avro, "title").update(type=["null", "string"]),
    "a union changes its member": lambda avro: field(avro, "repeat_of").update(
        type=["null", "long"]
    ),
    "an array changes its items": lambda avro: field(avro, "accused")["type"].update(items="long"),
    "the record is renamed": lambda avro: avro.update(name="CaseEntered"),
    "a nested field without a default is dropped": lambda avro: field(avro, "clocks")["type"][
        "items"
    ]["fields"].pop(0),
}


@pytest.mark.parametrize("edit", COMPATIBLE.values(), ids=COMPATIBLE)
def test_a_compatible_version_is_let_in(release: Release, edit: Edit) -> None:
    release.add_version(edit)
    assert release.problems() == []
    assert golden_problems(release) == []


@pytest.mark.parametrize("edit", INCOMPATIBLE.values(), ids=INCOMPATIBLE)
def test_an_incompatible_version_is_refused(release: Release, edit: Edit) -> None:
    release.add_version(edit)
    assert any(f"{TYPE}.avsc and " in line for line in release.problems())


def test_an_instant_that_becomes_a_plain_number_is_refused(release: Release) -> None:
    release.add_version(lambda avro: field(avro, "received_at").update(type="long"))
    assert any("record.received_at changes its type" in line for line in release.problems())


def test_every_two_versions_are_compared_not_only_neighbours(release: Release) -> None:
    """v2 drops a field with a default, v3 has it again as another type: v3 fits v2, not v1."""
    release.add_version(_drop("purpose"))

    def retyped(avro: dict[str, Any]) -> None:
        field(avro, "purpose").update(type="long", default=0)

    entry = release.write_schema(TYPE.replace(".v1", ".v3"), retyped)
    release.edit_catalogue(lambda entries: entries.append({"id": 32, **entry}))
    assert release.problems() == [
        f"{TYPE}.avsc and {TYPE.replace('.v1', '.v3')}.avsc: record.purpose changes its type"
    ]


def _avro_says(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return the answer of the Avro project's own checker, in both directions."""
    schemas = [parse(json.dumps(avro)) for avro in (one, other)]
    results = [
        ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
        for reader, writer in (schemas, schemas[::-1])
    ]
    return all(result.compatibility is SchemaCompatibilityType.compatible for result in results)


@pytest.mark.parametrize(
    "edit", [*COMPATIBLE.values(), *INCOMPATIBLE.values()], ids=[*COMPATIBLE, *INCOMPATIBLE]
)
def test_our_rules_agree_with_the_avro_projects_checker(edit: Edit) -> None:
    one = catalogue().by_type[TYPE].avro
    other = copy.deepcopy(one)
    edit(other)
    ours = not list(differences(expanded(one), expanded(other), "record"))
    assert ours == _avro_says(one, other)


UNSUITABLE = {
    "an array of nulls": {"type": "array", "items": "null"},
    "an array of records without fields": {
        "type": "array",
        "items": {"type": "record", "name": "Nothing", "fields": []},
    },
    "a record that holds itself": ["null", "CaseRegistered"],
    "a map": {"type": "map", "values": "string"},
    "an enum": {"type": "enum", "name": "Kind", "symbols": ["A"]},
    "a fixed": {"type": "fixed", "name": "Empty", "size": 0},
    "a union of three": ["null", "string", "long"],
    "a union without null": ["string", "long"],
    "a fraction": "double",
}


@pytest.mark.parametrize("type_", UNSUITABLE.values(), ids=UNSUITABLE)
def test_types_that_could_swell_or_break_readers_are_refused(type_: Any) -> None:
    avro = copy.deepcopy(catalogue().by_type[TYPE].avro)
    avro["fields"].append({"name": "odd", "type": type_})
    assert any(".odd" in line for line in unsuitable_types(expanded(avro), "x.avsc"))
