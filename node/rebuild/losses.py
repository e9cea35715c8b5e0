"""Find lost and damaged events, so that a rebuild does not swap in a fold without them."""

from collections.abc import Mapping, Sequence
from typing import Final

from node.postgres.connection import Cursor
from node.runtime.errors import Fatal
from node.store import digest_check
from node.store.digests import EMPTY
from node.store.row_check import Checked

_MOST_NAMES: Final = 100
# A row of the projection with its own case in its fold was folded from events that are gone.
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
    """The cases of which the ledger has lost events, collected while it is folded."""

    def __init__(self, node: str, *, accepted: bool = False) -> None:
        self._node = node
        self._accepted = accepted
        self._cases: set[str] = set()

    @property
    def names(self) -> list[str]:
        """Return the first of them, in the order of their ids."""
        return sorted(self._cases)[:_MOST_NAMES]

    @property
    def count(self) -> int:
        return len(self._cases)

    def check_rows(self, cursor: Cursor, rows: Mapping[str, Sequence[Checked]]) -> None:
        """Check all rows of these cases against the stored digests."""
        shares = digest_check.load(cursor, self._node, [*rows])
        for case_id, of_case in rows.items():
            self._cases.discard(case_id)
            kept = shares.kept.get(case_id, {})
            there = digest_check.add_up(shares, case_id, of_case)
            lost = any(
                kept[peer] != there.get(peer, EMPTY)
                and kept[peer].events >= there.get(peer, EMPTY).events
                for peer in kept
            )
            if lost or any(checked.is_suspect for checked in of_case):
                self._cases.add(case_id)

    def find_whole_cases(self, cursor: Cursor, live: str) -> None:
        """Find cases of which no row is left."""
        cursor.execute(_WHOLLY.format(live=live))
        self._cases.update(case_id for (case_id,) in cursor)

    def check(self) -> None:
        """Raise `Fatal` if events were lost and this was not accepted."""
        if self._cases and not self._accepted:
            raise Fatal(
                f"the ledger has lost or damaged events of {self.count} cases (the first: "
                f"{', '.join(self.names[:3])}): nothing was swapped in: run `petitionlink verify`, "
                "which heals them from peers, or accept the loss with --accept-loss"
            )
