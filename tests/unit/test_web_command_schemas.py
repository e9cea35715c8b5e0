"""The commands in OpenAPI are those of the schemas: nothing more, nothing less."""

from typing import Any

import pytest

from cases.vocabulary.commands import COMMANDS
from node.entrypoints.web.api.command_schemas import command_components
from schemas.catalogue import catalogue
from schemas.errors import Invalid
from schemas.event import ENVELOPE_FIELDS
from schemas.validation.forms import fill

COMPONENTS = command_components()
COMMON = {"command", "case_id", "occurred_at", "actor", "petitioner"}
EDGES = {
    "date-time": "9999-12-31T23:59:59.999999Z",
    "uuid": "ffffffff-ffff-ffff-ffff-ffffffffffff",
}


def component(command: str) -> dict[str, Any]:
    return COMPONENTS["".join(word.capitalize() for word in command.split("_")) + "Command"]


def edge(schema: dict[str, Any]) -> Any:
    """Return the longest or largest value that a schema allows."""
    if "anyOf" in schema:
        return edge(schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][-1]
    if schema["type"] == "array":
        return [edge(schema["items"])] * schema.get("maxItems", 1)
    if schema["type"] == "object":
        return {name: edge(one) for name, one in schema["properties"].items()}
    return {
        "string": EDGES.get(schema.get("format", ""), "字" * schema.get("maxLength", 1)),
        "integer": schema.get("maximum"),
        "boolean": True,
    }[schema["type"]]


def given(command: str) -> dict[str, Any]:
    """Return every field of a command at its edge."""
    properties = component(command)["properties"]
    own = {field["name"] for field in catalogue().by_type[COMMANDS[command]].avro["fields"]}
    own -= {*ENVELOPE_FIELDS}
    return {
        name: edge(one)
        for name, one in properties.items()
        if name in own and not (name == "petitioner" and command in ("register", "correct"))
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_schema_allows_at_its_edge_the_form_takes(command: str) -> None:
    fill(catalogue().by_type[COMMANDS[command]], given(command))


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_form_takes_the_schema_names(command: str) -> None:
    fields = catalogue().by_type[COMMANDS[command]].avro["fields"][len(ENVELOPE_FIELDS) :]
    open_ = {field["name"] for field in fields if not field.get("computed")}
    assert component(command)["properties"].keys() - COMMON == open_ - COMMON
    with pytest.raises(Invalid):
        fill(catalogue().by_type[COMMANDS[command]], given(command) | {"unheard_of": 1})


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_schema_requires_the_form_requires(command: str) -> None:
    whole = given(command)
    for name in set(component(command)["required"]) & whole.keys():
        less = {key: value for key, value in whole.items() if key != name}
        with pytest.raises(Invalid, match=name):
            fill(catalogue().by_type[COMMANDS[command]], less)


def test_every_command_is_one_of_the_choices() -> None:
    chosen = COMPONENTS["Command"]["discriminator"]["mapping"]
    assert chosen.keys() == COMMANDS.keys()
    assert len(COMPONENTS) == len(COMMANDS) + 1
