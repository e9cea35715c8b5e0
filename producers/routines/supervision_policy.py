"""The policy 督办规则 of routine supervision: a TOML file, checked as a whole before it is used.

A checkout has `deploy/supervision.toml`. An installed wheel has none: there
PETITIONLINK_SUPERVISION_POLICY names the file.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from node.queries.deadlines import duties
from node.runtime.errors import Fatal

KINDS: Final = ("urged", "supervised", "listed")
DEFAULT_FILE: Final = Path(__file__).resolve().parents[2] / "deploy" / "supervision.toml"

Kind = Literal["urged", "supervised", "listed"]
Days = Annotated[int, Field(ge=0, le=3660)]
Ground = Annotated[int, Field(ge=1, le=6)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PolicyRule(_Strict):
    """A rule: supervise duties that are overdue by `days`, or assignments without a result."""

    name: Name
    clocks: list[str] = []
    overdue_days: Days | None = None
    assigned_days: Days | None = None
    kind: Kind
    grounds: Annotated[list[Ground], Field(min_length=1, max_length=6)]
    requirement: Annotated[str, StringConstraints(min_length=1, max_length=3800)]

    @field_validator("clocks")
    @classmethod
    def _only_duties(cls, clocks: list[str]) -> list[str]:
        for clock in clocks:
            if clock not in duties():
                raise ValueError(f"{clock!r} is no duty: use {', '.join(duties())}")
        return clocks

    @model_validator(mode="after")
    def _one_sort(self) -> PolicyRule:
        overdue = bool(self.clocks) and self.overdue_days is not None
        anything = bool(self.clocks) or self.overdue_days is not None
        if overdue == (self.assigned_days is not None) or overdue != anything:
            raise ValueError("give either clocks with overdue_days, or assigned_days alone")
        return self


class Escalation(_Strict):
    """The days without an answer after which a supervision becomes the next kind, or None."""

    urged: Days | None = None
    supervised: Days | None = None


class Policy(_Strict):
    """The rules, in the order in which they are tried."""

    rule: Annotated[list[PolicyRule], Field(min_length=1)]
    escalation_days: Escalation = Escalation()
    most_per_round: Annotated[int, Field(ge=1, le=10_000)] = 200

    @model_validator(mode="after")
    def _each_name_once(self) -> Policy:
        names = [rule.name for rule in self.rule]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two rules are called {name!r}: give each a name of its own")
        return self

    @property
    def digest(self) -> str:
        """Return a digest of the values, independent of comments and the order of keys."""
        values = orjson.dumps(self.model_dump(), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(values).hexdigest()

    def patience_days(self, kind: str) -> int | None:
        """Return how long a supervision of this kind waits for its answer; None for ever."""
        days: int | None = getattr(self.escalation_days, kind, None)
        return days


def read_policy(path: Path) -> Policy:
    """Return the policy in this file; raise `Fatal`, naming file, entry and cure."""
    try:
        return Policy.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise Fatal(
            f"the supervision policy {path} is missing: name a file in "
            "PETITIONLINK_SUPERVISION_POLICY (deploy/supervision.toml of the project's source)"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Fatal(f"the supervision policy {path} cannot be read: {error}") from None
    except ValidationError as error:
        raise Fatal(
            f"the supervision policy {path}: {_first(error)}: see docs/routines.md"
        ) from None


def policy_file(setting: str) -> Path:
    """Return the file that the setting names, or that of the checkout."""
    return Path(setting) if setting else DEFAULT_FILE


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    # People count the rules of their file from one.
    place = [str(part + 1) if isinstance(part, int) else str(part) for part in found["loc"]]
    text = found["msg"].removeprefix("Value error, ")
    return f"{' '.join(place)}: {text}" if place else text
