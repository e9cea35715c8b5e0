"""What a rebuild must not swap in: a ledger that lost rows, or whose values cannot be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from node.postgres.connection import Cursor
from node.runtime.errors import Fatal
from node.store import digest_check
from node.store.digests import EMPTY
from node.store.row_check import Checked

_MOST_NAMES: Final = 100
# A row of the projection that repeats its own case was folded from events that are gone.
_WHOLLY = """
    select case_id from (
        select distinct case_id from case_digest where events > 0
        union select case_id from {live}.petition_case
        where fold ->> 'case_id' = case_id and fold -> 'sequences' is not null
    ) known
    where not exists (select from case_event e where e.case_id = known.case_id)
    order by 1
"""


class Losses:
    """Cases of which the ledger has lost something, gathered while it is folded."""

    def __init__(self, node: str, *, accepted: bool = False) -> None:
        self._node = node
        self._accepted = accepted
        self._cases: dict[str, None] = {}

    @property
    def names(self) -> list[str]:
        """The first of them, in the order of their ids."""
        return sorted(self._cases)[:_MOST_NAMES]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._cases)

    def look(self, cursor: Cursor, rows: Mapping[str, Sequence[Checked]]) -> None:
        """Judge the rows of some cases by the kept digests."""
        shares = digest_check.load(cursor, self._node, [*rows])
        for case_id, some in rows.items():
            self._cases.pop(case_id, None)
            kept = shares.kept.get(case_id, {})
            there = digest_check.add_up(shares, case_id, some)
            lost = any(
                kept[peer] != there.get(peer, EMPTY)
                and kept[peer].events >= there.get(peer, EMPTY).events
                for peer in kept
            )
            if lost or any(one.is_suspect for one in some):
                self._cases[case_id] = None

    def look_for_whole_cases(self, cursor: Cursor, live: str) -> None:
        """Find cases of which not one row is left."""
        cursor.execute(_WHOLLY.format(live=live))
        self._cases |= {case_id: None for (case_id,) in cursor}

    def check(self) -> None:
        """Raise `Fatal` if something was lost and nobody accepted it."""
        if self._cases and not self._accepted:
            raise Fatal(
                f"the ledger has lost or damaged events of {self.count} cases (the first: "
                f"{', '.join(self.names[:3])}): nothing was swapped in: run `petitionlink verify`, "
                "which heals them from peers, or accept the loss with --accept-loss"
            )
