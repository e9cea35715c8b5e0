"""The catalogue and the shape of the shipped schemas."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.catalogue import CATALOGUE_FILE, EVENTS_FOLDER, Schema, catalogue, load
from schemas.errors import SchemaError
from schemas.evolution.resolution import expanded

SCHEMAS = list(catalogue().by_id.values())
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ENGLISH = re.compile(r"[A-Za-z]{2}")


def test_ids_are_1_to_30_and_every_file_is_in_the_catalogue() -> None:
    assert list(catalogue().by_id) == list(range(1, 31))
    assert {schema.file for schema in SCHEMAS} == {file.name for file in EVENTS_FOLDER.iterdir()}


def documented(avro: Any, path: str) -> Iterator[tuple[str, str]]:
    """Return every record and field with its doc string."""
    if isinstance(avro, list):
        avro = avro[1]
    if isinstance(avro, dict) and avro["type"] == "array":
        avro = avro["items"]
    if isinstance(avro, dict) and avro["type"] == "record":
        yield path, avro.get("doc", "")
        for field in avro["fields"]:
            yield f"{path}.{field['name']}", field.get("doc", "")
            yield from documented(field["type"], f"{path}.{field['name']}")


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.type)
def test_every_record_and_field_is_described_in_english_and_chinese(schema: Schema) -> None:
    for path, doc in documented(expanded(schema.avro), schema.type):
        assert CHINESE.search(doc), path
        assert ENGLISH.search(doc), path


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.type)
def test_defaults_and_codes_fit_their_fields(schema: Schema) -> None:
    for field in schema.avro["fields"]:
        if isinstance(field["type"], list):
            assert field["default"] is None, field["name"]
        if "codes" in field and "default" in field:
            assert field["default"] in field["codes"], field["name"]
        if field.get("required"):
            assert "default" not in field, field["name"]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.type)
def test_instants_are_in_a_field_or_in_the_items_of_an_array(schema: Schema) -> None:
    """`check_instants` looks no deeper."""
    types = {field["name"]: field["type"] for field in expanded(schema.avro)["fields"]}
    for path in schema.body_instants:
        in_array = isinstance(types[path[0]], dict) and types[path[0]]["type"] == "array"
        assert len(path) == (2 if in_array else 1), path


def test_defaults_are_new_ones_each_time() -> None:
    schema = catalogue().by_id[1]
    schema.defaults()["clocks"].append("mine")
    assert schema.defaults()["clocks"] == []


def test_importing_reads_no_schema_files() -> None:
    program = (
        "import sys; seen = [];"
        "sys.addaudithook(lambda e, a: seen.append(a[0]) if e == 'open' else None);"
        "import schemas.wire; sys.exit(any(str(p).endswith('.avsc') for p in seen))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def entries() -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads(CATALOGUE_FILE.read_text())
    return read


@pytest.mark.parametrize(
    ("second", "fault"),
    [({"id": 1}, "one id to two schemas"), ({"type": entries()[0]["type"]}, "two schemas to one")],
)
def test_an_id_or_type_that_is_there_twice_is_refused(
    tmp_path: Path, second: dict[str, Any], fault: str
) -> None:
    broken = entries()
    broken[1].update(second)
    file = tmp_path / "catalogue.json"
    file.write_text(json.dumps(broken))
    with pytest.raises(SchemaError, match=fault):
        load(file)


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"id": 1}]'])
def test_a_damaged_catalogue_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "catalogue.json"
    file.write_text(content)
    with pytest.raises(SchemaError, match=r"catalogue\.json cannot be read"):
        load(file)


def test_a_missing_catalogue_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"catalogue\.json cannot be read"):
        load(tmp_path / "catalogue.json")
