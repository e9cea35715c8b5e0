"""Identify repeats 初次重复认定: the centre finds each case to be a first or a repeat, nationwide.

Only the centre sees every province, and only one process of it decides (the routine's lock): of
two registrations at nearly the same moment in two provinces exactly one is the first. Cases
without a finding have an index of their own, so that an empty round costs nothing; a case whose
identity was corrected loses its finding and is identified again.
"""

from collections.abc import Sequence
from typing import Final

from cases.case import Case
from cases.regulations import regulation
from node.keys.office import Office
from node.postgres.connection import Connection, Cursor
from node.runtime.supervisor import Stop
from producers.commands.act_on_many import act
from producers.commands.draft_event import Command
from producers.routines.routine import Resting, Routine
from producers.routines.same_matter import Finding, Known, identify

ACTOR: Final = "routine:identifying"
# One transaction decides this many cases, and reads others of the same persons.
BATCH_CASES: Final = 500
_IDLE_SECONDS = 0.5
# A placeholder for an identity number can give one "person" thousands of cases, so the number read
# is bounded. Beyond it, matters are compared with the latest findings only.
_PERSON_CASES = 1000

_UNIDENTIFIED = """
    select case_id, identity_digest from petition_case
    where finding is null and registered_by is not null and case_id <> all(%s)
    order by case_id limit %s
"""
_COLUMNS = """
    case_id, (extract(epoch from registered_at) * 1000000)::bigint, identity_digest, finding,
    repeat_of, fold #>> '{registration,repeat_of}', coalesce(title, ''),
    array_remove(array[content_category_1, content_category_2, content_category_3], null),
    coalesce(area, '')
"""
_OF_PERSONS = f"""
    select known.* from unnest(%(digests)s::text[]) as person (digest) cross join lateral (
        (select {_COLUMNS} from petition_case
         where identity_digest = person.digest and finding is not null
         order by registered_at desc, case_id desc limit %(limit)s)
        union all
        (select {_COLUMNS} from petition_case
         where identity_digest = person.digest and finding is null and registered_by is not null
             and case_id <> all(%(resting)s)
         order by registered_at, case_id limit %(limit)s)
    ) known
"""
_OF_NOBODY = f"select {_COLUMNS} from petition_case where case_id = any(%s)"


class Identifying(Routine):
    """The centre's routine of first and repeat; a worker for `node.runtime.supervisor`."""

    name = "identifying"
    _resting: Resting

    def session(self, stop: Stop) -> None:
        """Identify what has no finding, until `stop`."""
        self._resting = Resting()
        super().session(stop)

    def round(self, connection: Connection, office: Office, stop: Stop) -> float:
        """Identify one batch; the next follows at once while there is more."""
        found, refused = identify_some(connection, office, self._resting.case_ids())
        self._resting.add(refused)
        return 0.0 if found else _IDLE_SECONDS


def identify_some(
    connection: Connection, office: Office, resting: Sequence[str] = ()
) -> tuple[int, list[str]]:
    """Decide a batch in one transaction, without the cases in `resting`.

    Return how many findings were written, and which cases refused.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(_UNIDENTIFIED, ([*resting], BATCH_CASES))
        seeds = cursor.fetchall()
        if not seeds:
            return 0, []
        known = _known(cursor, seeds, resting)
        decided = {case.case_id: (case, finding) for case, finding in identify(known)}

        def plan(case: Case) -> list[Command]:
            return _plan(office, case, *decided[case.case_id])

        acted = act(cursor, office, decided, plan)
    return len(acted.events), acted.refused


def _known(
    cursor: Cursor, seeds: Sequence[tuple[str, str | None]], resting: Sequence[str]
) -> list[Known]:
    """Return the cases to decide, and the other cases of the same persons."""
    cursor.execute(_OF_NOBODY, ([case_id for case_id, digest in seeds if digest is None],))
    rows = cursor.fetchall()
    digests = sorted({digest for _, digest in seeds if digest is not None})
    cursor.execute(_OF_PERSONS, {"digests": digests, "limit": _PERSON_CASES, "resting": [*resting]})
    rows += cursor.fetchall()
    return [Known._make((*row[:7], tuple(row[7]), row[8])) for row in rows]


def _plan(office: Office, case: Case, seen: Known, found: Finding) -> list[Command]:
    """Return the command, or none if the case changed since it was read; it will come again."""
    digest = case.registration.get("identity_digest")
    if case.finding is not None or digest != seen.identity_digest:
        return []
    persons = case.registration.get("persons") or 1
    given = {**found._asdict(), "group": persons >= regulation(case.rule_set).group_from}
    return [Command("identify", case.case_id, office.clock(), ACTOR, given)]
