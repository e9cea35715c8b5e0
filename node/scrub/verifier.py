"""Verify 校验 some cases: recompute them from their bytes in one snapshot."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from node.kafka.topic_names import peers_of
from node.postgres.connection import Cursor
from node.scrub import findings, projection_check
from node.scrub.findings import ScrubFinding
from node.store import digest_check, lost_events, row_check
from node.store.digest_check import Shares
from node.store.digests import EMPTY, Digest
from node.store.row_check import Checked

# More numbers of an emitter than this are not compared one by one.
_MOST_NUMBERS: Final = 100_000
_MOST_NAMED: Final = 20

# Also cases of which no row is left: the stored digests and the projection know them.
_NEXT = """
    select distinct case_id from (
        (select distinct case_id from case_event where case_id > %(after)s order by 1 limit %(n)s)
        union all
        (select case_id from petition_case where case_id > %(after)s order by 1 limit %(n)s)
        union all
        select d.case_id from unnest(%(peers)s::text[]) p (peer), lateral (
            select case_id from case_digest
            where peer = p.peer and case_id > %(after)s order by 1 limit %(n)s) d
    ) every order by 1 limit %(n)s
"""


Numbered = tuple[str, int]
"""An event of which only the emitter and its sequence are known."""


class ExaminedCase(NamedTuple):
    """A case with its rows and findings.

    `missing` are events that must have been there, `surplus` rows that no node wrote, `lost` events
    that were known to be lost before.
    """

    case_id: str
    rows: Sequence[Checked]
    shares: Shares
    findings: Sequence[ScrubFinding]
    missing: Sequence[Numbered] = ()
    surplus: Sequence[Checked] = ()
    lost: Sequence[lost_events.LostEvent] = ()

    @property
    def is_sound(self) -> bool:
        """Return whether the rows are right, so that the projection can be compared with them."""
        return not self.findings and not self.lost


def next_cases(cursor: Cursor, node: str, after: str, number: int) -> list[str]:
    """Return the next known cases after this one, in the order of their ids."""
    cursor.execute(_NEXT, {"after": after, "n": number, "peers": peers_of(node)})
    return [case_id for (case_id,) in cursor]


def examine(cursor: Cursor, node: str, live: str, case_ids: Sequence[str]) -> list[ExaminedCase]:
    """Recompute these cases from their bytes; needs a snapshot after `projection_check.prepare`."""
    shares = digest_check.load(cursor, node, case_ids)
    rows: dict[str, list[Checked]] = {case_id: [] for case_id in case_ids}
    for checked in row_check.read(cursor, case_ids):
        rows[checked.row.case_id].append(checked)
    counted = projection_check.sequences(cursor, case_ids)
    lost: dict[str, list[lost_events.LostEvent]] = {}
    for event in lost_events.lost_of(cursor, case_ids):
        lost.setdefault(event[0], []).append(event)
    examined = [
        _examine(case_id, of_case, shares, counted.get(case_id), lost.get(case_id, []))
        for case_id, of_case in rows.items()
    ]
    return _with_projections(cursor, live, examined)


def _examine(
    case_id: str,
    all_rows: Sequence[Checked],
    shares: Shares,
    counted: projection_check.Counted | None,
    lost: Sequence[lost_events.LostEvent],
) -> ExaminedCase:
    mine = [checked for checked in all_rows if checked.case_id == case_id]
    kept = shares.kept.get(case_id, {})
    recorded = digest_check.add_up(shares, case_id, mine)
    by_bytes = digest_check.add_up(shares, case_id, mine, by_bytes=True)
    found = [*_of_rows(case_id, all_rows, kept, recorded, by_bytes)]
    case = ExaminedCase(case_id, all_rows, shares, found, lost=lost)
    if digest_check.agree(kept, recorded) or digest_check.agree(kept, by_bytes):
        # At the centre no digest counts its own events until the case is sent to somebody.
        own = shares.node if not shares.covers_own_events(case_id) else ""
        numbers = _numbers(mine, counted, lost, own) if own else []
        return _lacking(case, numbers, len(mine) + len(numbers)) if numbers else case
    short = max((kept[p].events - recorded.get(p, EMPTY).events for p in kept), default=0)
    if short > 0:
        numbers = _numbers(mine, counted, lost, None)
        return _lacking(case, numbers, len(mine) + max(short, len(numbers)))
    extra = digest_check.surplus(shares, case_id, mine, kept)
    added = [_added(case_id, row) for row in extra] or [_unexplained(case_id, kept, recorded)]
    return case._replace(findings=[*case.findings, *added], surplus=extra)


def _lacking(case: ExaminedCase, missing: Sequence[Numbered], expected: int) -> ExaminedCase:
    named = ", ".join(f"event {number} of {emitter}" for emitter, number in missing[:_MOST_NAMED])
    detail = f"{named or 'events'} not in the ledger, which had {expected} events of the case"
    finding = ScrubFinding(findings.MISSING, case.case_id, None, detail, expected=expected)
    return case._replace(findings=[*case.findings, finding], missing=missing)


def _of_rows(
    case_id: str,
    all_rows: Sequence[Checked],
    kept: Mapping[str, Digest],
    recorded: Mapping[str, Digest],
    by_bytes: Mapping[str, Digest],
) -> Iterator[ScrubFinding]:
    """Yield findings about single rows; the stored digests decide if value or digest is wrong."""
    vindicated = (
        bool(kept) and digest_check.agree(kept, by_bytes) and not digest_check.agree(kept, recorded)
    )
    for checked in all_rows:
        kind, row = checked.problem, checked.row
        if kind == row_check.VALUE_ALTERED and vindicated and checked.event is not None:
            kind = row_check.DIGEST_ALTERED
        if kind is not None:
            detail = f"event {row.emitter_sequence} of {row.emitter}: {_MEANING[kind]}"
            yield ScrubFinding(kind, case_id, row.event_id, detail)


_MEANING: Final = {
    row_check.VALUE_ALTERED: "its value does not match the digest that was recorded with it",
    row_check.UNDECODABLE: "its value does not decode",
    row_check.COLUMNS_DIFFER: "its columns differ from its value",
    row_check.BODY_DIFFERS: "its body is not that of its value",
    row_check.DIGEST_ALTERED: "its digest was altered, its value is what the case's digests count",
}


def _numbers(
    mine: Sequence[Checked],
    counted: projection_check.Counted | None,
    lost: Sequence[lost_events.LostEvent],
    only: str | None,
) -> list[Numbered]:
    """Return the events that the projection has folded and that have no row, of `only` or all."""
    if counted is None:
        return []
    there = {(checked.emitter, checked.row.emitter_sequence) for checked in mine}
    there |= {(emitter, number) for _, emitter, number, _ in lost}
    sequences, gaps = counted
    return [
        (emitter, number)
        for emitter, last in sequences.items()
        if only in (None, emitter) and last <= _MOST_NUMBERS
        for number in range(1, last + 1)
        if (emitter, number) not in there
        and not any(e == emitter and first <= number <= end for e, first, end in gaps)
    ]


def _added(case_id: str, checked: Checked) -> ScrubFinding:
    row = checked.row
    detail = (
        f"event {row.emitter_sequence} of {row.emitter}: no digest of the case counts it, "
        "and the other rows agree with them: no node wrote it"
    )
    return ScrubFinding(findings.ADDED, case_id, row.event_id, detail)


def _unexplained(
    case_id: str, kept: Mapping[str, Digest], recorded: Mapping[str, Digest]
) -> ScrubFinding:
    wrong = [
        f"with {peer} {kept.get(peer, EMPTY).events} events were counted and "
        f"{recorded.get(peer, EMPTY).events} are there"
        for peer in sorted(kept.keys() | recorded)
        if kept.get(peer, EMPTY) != recorded.get(peer, EMPTY)
    ]
    detail = f"rows and kept digests differ, and no single row explains it: {'; '.join(wrong)}"
    return ScrubFinding(findings.SUMS_DIFFER, case_id, None, detail)


def _with_projections(
    cursor: Cursor, live: str, examined: Sequence[ExaminedCase]
) -> list[ExaminedCase]:
    """Add a finding to each sound case whose projection is wrong."""
    sound = {case.case_id: case.rows for case in examined if case.is_sound}
    wrong = {
        case_id: ScrubFinding(
            *(findings.PROJECTION_DIFFERS, case_id, None),
            f"the projection of the case is {kind}: the fold of its events gives something else",
        )
        for case_id, kind in projection_check.compare(cursor, live, sound).items()
    }
    return [
        case._replace(findings=[*case.findings, wrong[case.case_id]])
        if case.case_id in wrong
        else case
        for case in examined
    ]
