"""The verifier 校验: some cases, recomputed from their bytes in one snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from node.kafka.topic_names import peers_of
from node.postgres.connection import Cursor
from node.scrub import findings, projection_check
from node.scrub.findings import Finding
from node.store import digest_check, lost_events, row_check
from node.store.digest_check import Shares
from node.store.digests import EMPTY, Digest
from node.store.row_check import Checked

# More numbers of one emitter than this are not looked through one by one.
_MOST_NUMBERS: Final = 100_000
_MOST_NAMED: Final = 20

# Also cases of which no row is left: the kept digests and the projection know them.
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


class Numbered(NamedTuple):
    """An event known by its emitter and number only."""

    emitter: str
    number: int


class Look(NamedTuple):
    """A case as it was found: its rows, what is wrong, and what that is to be corrected by.

    `missing` are events that must have been there; `surplus` rows that nobody wrote; `lost` what
    was known to be lost before.
    """

    case_id: str
    rows: Sequence[Checked]
    shares: Shares
    findings: Sequence[Finding]
    missing: Sequence[Numbered] = ()
    surplus: Sequence[Checked] = ()
    lost: Sequence[lost_events.Lost] = ()

    @property
    def is_sound(self) -> bool:
        """Whether the rows are what they should be, so that the projection can be judged."""
        return not self.findings and not self.lost


def next_cases(cursor: Cursor, node: str, after: str, number: int) -> list[str]:
    """The next cases after this one in the order of their ids, of which anything is known."""
    cursor.execute(_NEXT, {"after": after, "n": number, "peers": peers_of(node)})
    return [case_id for (case_id,) in cursor]


def examine(cursor: Cursor, node: str, live: str, case_ids: Sequence[str]) -> list[Look]:
    """Recompute these cases from their bytes; needs a snapshot, and `projections.prepare` before.

    `live` is the schema of the live tables.
    """
    shares = digest_check.load(cursor, node, case_ids)
    found: dict[str, list[Checked]] = {case_id: [] for case_id in case_ids}
    for one in row_check.read(cursor, case_ids):
        found[one.row.case_id].append(one)
    counted = projection_check.sequences(cursor, case_ids)
    lost: dict[str, list[lost_events.Lost]] = {}
    for one_lost in lost_events.lost_of(cursor, case_ids):
        lost.setdefault(one_lost[0], []).append(one_lost)
    looks = [
        _judge(case_id, some, shares, counted.get(case_id), lost.get(case_id, []))
        for case_id, some in found.items()
    ]
    return _with_projections(cursor, live, looks)


def _judge(
    case_id: str,
    all_rows: Sequence[Checked],
    shares: Shares,
    counted: projection_check.Counted | None,
    lost: Sequence[lost_events.Lost],
) -> Look:
    mine = [one for one in all_rows if one.case_id == case_id]
    kept = shares.kept.get(case_id, {})
    recorded = digest_check.add_up(shares, case_id, mine)
    by_bytes = digest_check.add_up(shares, case_id, mine, by_bytes=True)
    look = Look(case_id, all_rows, shares, [*_of_rows(case_id, all_rows, kept, recorded, by_bytes)])
    look = look._replace(lost=lost)
    if digest_check.agree(kept, recorded) or digest_check.agree(kept, by_bytes):
        # At the centre no digest counts its own events until the case is sent to somebody.
        own = shares.node if not shares.covers_own_events(case_id) else ""
        numbers = _numbers(mine, counted, lost, own) if own else []
        return _lacking(look, numbers, len(mine) + len(numbers)) if numbers else look
    short = max((kept[p].events - recorded.get(p, EMPTY).events for p in kept), default=0)
    if short > 0:
        numbers = _numbers(mine, counted, lost, None)
        return _lacking(look, numbers, len(mine) + max(short, len(numbers)))
    extra = digest_check.surplus(shares, case_id, mine, kept)
    added = [_added(case_id, one) for one in extra] or [_unexplained(case_id, kept, recorded)]
    return look._replace(findings=[*look.findings, *added], surplus=extra)


def _lacking(look: Look, missing: Sequence[Numbered], expected: int) -> Look:
    found = [*look.findings, _missing(look.case_id, missing, expected)]
    return look._replace(findings=found, missing=missing)


def _of_rows(
    case_id: str,
    all_rows: Sequence[Checked],
    kept: Mapping[str, Digest],
    recorded: Mapping[str, Digest],
    by_bytes: Mapping[str, Digest],
) -> Iterator[Finding]:
    """The findings about single rows. The kept digests decide which is wrong, value or digest."""
    vindicated = (
        bool(kept) and digest_check.agree(kept, by_bytes) and not digest_check.agree(kept, recorded)
    )
    for one in all_rows:
        kind = one.problem
        if kind == row_check.VALUE_ALTERED and vindicated and one.event is not None:
            kind = row_check.DIGEST_ALTERED
        if kind is not None:
            detail = f"event {one.row.emitter_sequence} of {one.row.emitter}: {_MEANING[kind]}"
            yield Finding(kind, case_id, one.row.event_id, detail)


_MEANING: Final = {
    row_check.VALUE_ALTERED: "its value does not match the digest that was recorded with it",
    row_check.UNDECODABLE: "its value does not decode",
    row_check.COLUMNS_DIFFER: "its columns say something else than its value",
    row_check.BODY_DIFFERS: "its body is not that of its value",
    row_check.DIGEST_ALTERED: "its digest was altered, its value is what the case's digests count",
}


def _numbers(
    mine: Sequence[Checked],
    counted: projection_check.Counted | None,
    lost: Sequence[lost_events.Lost],
    only: str | None,
) -> list[Numbered]:
    """The events that the projection has folded and that are not there, of `only` one emitter."""
    if counted is None:
        return []
    there = {(one.emitter, one.row.emitter_sequence) for one in mine}
    there |= {(emitter, number) for _, emitter, number, _ in lost}
    sequences, gaps = counted
    return [
        Numbered(emitter, number)
        for emitter, last in sequences.items()
        if only in (None, emitter) and last <= _MOST_NUMBERS
        for number in range(1, last + 1)
        if (emitter, number) not in there
        and not any(e == emitter and first <= number <= end for e, first, end in gaps)
    ]


def _missing(case_id: str, missing: Sequence[Numbered], expected: int) -> Finding:
    named = ", ".join(f"event {number} of {emitter}" for emitter, number in missing[:_MOST_NAMED])
    detail = f"{named or 'events'} not in the ledger, which had {expected} events of the case"
    return Finding(findings.MISSING, case_id, None, detail, expected=expected)


def _added(case_id: str, one: Checked) -> Finding:
    detail = (
        f"event {one.row.emitter_sequence} of {one.row.emitter}: no digest of the case counts it, "
        "and the other rows agree with them: no node wrote it"
    )
    return Finding(findings.ADDED, case_id, one.row.event_id, detail)


def _unexplained(
    case_id: str, kept: Mapping[str, Digest], recorded: Mapping[str, Digest]
) -> Finding:
    wrong = [
        f"with {peer} {kept.get(peer, EMPTY).events} events were counted and "
        f"{recorded.get(peer, EMPTY).events} are there"
        for peer in sorted(kept.keys() | recorded)
        if kept.get(peer, EMPTY) != recorded.get(peer, EMPTY)
    ]
    detail = f"rows and kept digests differ, and no single row explains it: {'; '.join(wrong)}"
    return Finding(findings.SUMS_DIFFER, case_id, None, detail)


def _with_projections(cursor: Cursor, live: str, looks: Sequence[Look]) -> list[Look]:
    sound = {one.case_id: one.rows for one in looks if one.is_sound}
    wrong = projection_check.compare(cursor, live, sound)
    return [
        one._replace(findings=[*one.findings, _projection(one.case_id, wrong[one.case_id])])
        if one.case_id in wrong
        else one
        for one in looks
    ]


def _projection(case_id: str, how: str) -> Finding:
    detail = f"the projection of the case is {how}: the fold of its events gives something else"
    return Finding(findings.PROJECTION_DIFFERS, case_id, None, detail)
