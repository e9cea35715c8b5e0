"""The declared topics of docs/contract.md §1: settings from `deploy/topics.toml`, names by rule.

A checkout has the file in its `deploy` folder; an installed wheel has none, and
PETITIONLINK_TOPICS_FILE names it.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cases.nodes import NATIONAL, known_node
from node.kafka.topic_names import (
    control_downlink,
    control_uplink,
    dead_letter,
    downlink,
    own_topic,
    uplink,
)
from node.runtime.errors import Fatal

_VARIABLE = "PETITIONLINK_TOPICS_FILE"
_CHECKOUT_FILE = Path(__file__).resolve().parents[3] / "deploy" / "topics.toml"


class Topic(NamedTuple):
    """A topic as declared; `settings` are Kafka's own, with values as Kafka writes them."""

    name: str
    partitions: int
    replication_factor: int
    settings: Mapping[str, str]


class _Layer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    partitions: int | None = Field(default=None, ge=1)
    replication_factor: int | None = Field(default=None, ge=1)
    settings: dict[str, bool | int | str] = {}


class _Whole(_Layer):
    partitions: int = Field(ge=1)
    replication_factor: int = Field(ge=1)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    default: _Whole
    uplink: _Layer = _Layer()
    downlink: _Layer = _Layer()
    own: _Layer = _Layer()
    deadletter: _Layer = _Layer()
    control: _Layer = _Layer()
    local: _Layer = _Layer()


def declared_topics(nodes: Sequence[str], *, local: bool) -> list[Topic]:
    """Return the topics of these nodes; `local` applies the file's [local] section.

    Raises `Fatal`, which names the file and its fault, or `UnknownNode`.
    """
    file = _read()
    topics = []
    for code in nodes:
        node = known_node(code).code
        families = [(file.deadletter, dead_letter(node))]
        if node == NATIONAL:
            families.append((file.own, own_topic(node)))
        else:
            families += [
                (file.uplink, uplink(node)),
                (file.downlink, downlink(node)),
                (file.control, control_uplink(node)),
                (file.control, control_downlink(node)),
            ]
        topics += [_topic(name, file, family, local) for family, name in families]
    return sorted(topics)


def _topic(name: str, file: _File, family: _Layer, local: bool) -> Topic:
    partitions, replication = file.default.partitions, file.default.replication_factor
    settings = dict(file.default.settings)
    for layer in (family, file.local) if local else (family,):
        partitions = layer.partitions or partitions
        replication = layer.replication_factor or replication
        settings |= layer.settings
    return Topic(name, partitions, replication, {k: _text(v) for k, v in sorted(settings.items())})


def _text(value: bool | int | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read() -> _File:
    path = Path(os.environ.get(_VARIABLE) or _CHECKOUT_FILE)
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise Fatal(
            f"the declared topics are missing in {path}: name the file in {_VARIABLE} "
            "(deploy/topics.toml of the project's source)"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Fatal(f"{path} cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Fatal(f"{path}: {place}: {first['msg']}") from None
