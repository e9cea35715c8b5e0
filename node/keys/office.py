"""The office 信访机构 that acts: it has what a node needs to make events of its own."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from cases.nodes import NATIONAL
from node.keys.key_ring import NodeKeys, load_keys
from node.postgres.connection import Cursor
from node.runtime.settings import Settings
from node.store.clock_skew import ClockCheck
from schemas.instants import Clock, date_in_china, now_micros
from schemas.sealing.sealed_record import PublicKey, Sealer

# Crockford's base 32: it has no letters that are mistaken for digits when read aloud.
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# 40 bits per node and day; the registering transaction refuses the rare repeat.
_RANDOM_LENGTH = 8


@dataclass(frozen=True)
class Office:
    """A node that acts: its code, the default actor, its keys and its clock."""

    node: str
    actor: str
    keys: NodeKeys
    clock: Clock = now_micros
    sealer: Sealer = field(default_factory=Sealer, repr=False)
    clock_check: ClockCheck | None = field(default=None, repr=False, compare=False)

    def readers(self, participants: Iterable[str] = ()) -> list[PublicKey]:
        """Return the keys of who may read the petitioner: this node, centre and participants."""
        return [
            self.keys.public(code) for code in dict.fromkeys((self.node, NATIONAL, *participants))
        ]

    def check_clock(self, cursor: Cursor) -> None:
        """Raise `ClockWrong` if this machine's clock is too wrong to date an event."""
        if self.clock_check is not None:
            self.clock_check.check_command(cursor)

    def new_case_id(self, registered_at: int) -> str:
        """Return a new case id 信访件编号: node, day and eight random characters."""
        tail = "".join(_LETTERS[byte & 31] for byte in secrets.token_bytes(_RANDOM_LENGTH))
        return f"{self.node}-{date_in_china(registered_at):%Y%m%d}-{tail}"


def open_office(settings: Settings, clock: Clock = now_micros) -> Office:
    """Return the office of the node of `settings`; raises `KeysUnusable`."""
    keys = load_keys(settings.key_folder, settings.node)
    check = ClockCheck(settings, clock)
    return Office(settings.node, settings.actor, keys, clock, clock_check=check)
