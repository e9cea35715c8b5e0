"""The state of this node's own ledger, beside a proof: rows counted, findings of the scrub."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from node.postgres.connection import Connection
from node.reconcile.row_counts import Counted, count
from node.runtime.errors import PetitionLinkError
from node.scrub import findings, position


class Ledger(NamedTuple):
    """Rows against kept digests, open findings, and when the scrub last ended (epoch seconds)."""

    rows: list[Counted]
    open_findings: int
    complete_at: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the members to add to a printed document."""
        return {
            "rows": [counted._asdict() for counted in self.rows],
            "open_findings": self.open_findings,
            "ledger_verified_at": self.complete_at,
        }

    def check(self, node: str) -> None:
        """Raise `PetitionLinkError` if the ledger is known not to be whole."""
        wrong = [each for each in self.rows if each.differs]
        if wrong:
            shown = "; ".join(
                f"{each.kept} events are counted with {each.peer} and {each.rows} are there"
                for each in wrong[:3]
            )
            raise PetitionLinkError(
                f"the ledger of node {node} is not what its digests say: {shown}: run "
                "`petitionlink verify`, which names and heals it"
            )
        if self.open_findings:
            raise PetitionLinkError(
                f"the scrub has {self.open_findings} open findings at node {node}: "
                "`petitionlink status` names them"
            )


def ledger_state(connection: Connection, node: str, peers: Sequence[str] = ()) -> Ledger:
    """Count the rows shared with `peers`, or with all, and read the findings of the scrub."""
    rows = [each for each in count(connection, node) if not peers or each.peer in peers]
    with connection, connection.cursor() as cursor:
        by_kind = findings.open_by_kind(cursor)
        complete_at = position.read(cursor).complete_at
    return Ledger(rows, sum(by_kind.values()), complete_at)
