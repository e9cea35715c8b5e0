"""Routine supervision 常态督办: the centre finds what is overdue and issues what its policy says.

1. Look: every duty that a rule names and that is overdue, by index, against what was issued.
2. Dry run 试运行: the proposals are shown and audited. Nothing is issued by a policy of which no
   dry run was audited, so that nobody sends out thousands of letters by a slip of the pen.
3. Issue 下发: each in a transaction of its own, which holds the case, judges again (the same
   case may be answered, or supervised by someone else, meanwhile), and audits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final, NamedTuple

from cases.errors import Refusal
from cases.nodes import NATIONAL
from node.keys.office import Office
from node.postgres.connection import Connection, Cursor
from node.store import audit_log
from producers.commands.draft_event import Command
from producers.commands.handle import Done, handled
from producers.routines.overdue_cases import ASSIGNED, issued_for, pages, still_overdue
from producers.routines.supervision_policy import Policy, PolicyRule
from producers.routines.supervision_rules import Issued, Overdue, Proposal, issued_of, propose
from schemas.errors import Invalid
from schemas.instants import CHINA

# The actions that are audited: every look, every issue.
_TRIED: Final = "supervision.tried"  # 试运行
_ISSUED: Final = "supervision.issued"  # 下发
_REFUSED: Final = "supervision.refused"  # 未能下发
_WAS_TRIED: Final = (
    "select 1 from audit_log where action = 'supervision.tried' and detail ->> 'policy' = %s "
    "order by at desc limit 1"
)
# An audit line names this many cases of a round; the counts are whole.
_NAMED_CASES = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Look(NamedTuple):
    """What a policy asks for now; `more` if its limit for a round cut it off."""

    proposals: list[Proposal]
    more: bool


class Outcome(NamedTuple):
    """What became of one proposal: the event that was issued, or the rule that refused it."""

    proposal: Proposal
    event_id: str | None
    rule: str | None = None
    error: str | None = None


def look(connection: Connection, policy: Policy, now: int, resting: Collection[str] = ()) -> Look:
    """What is to be issued now (micros), rule by rule, at most as many as the policy allows.

    Cases in `resting` are passed over.
    """
    every = (one for one in _proposals(connection, policy, now) if one.case_id not in resting)
    found = list(islice(every, policy.most_per_round + 1))
    return Look(found[: policy.most_per_round], len(found) > policy.most_per_round)


def dry_run(connection: Connection, office: Office, policy: Policy, actor: str) -> Look:
    """Look, and audit that; nothing is issued."""
    only_the_centre(office)
    found = look(connection, policy, office.clock())
    detail = {
        "policy": policy.digest,
        "proposed": len(found.proposals),
        "more": found.more,
        "by_rule": Counter(one.rule for one in found.proposals),
        "cases": [one.case_id for one in found.proposals[:_NAMED_CASES]],
    }
    with connection, connection.cursor() as cursor:
        audit_log.note(cursor, actor, _TRIED, detail)
    return found


def issue(
    connection: Connection,
    office: Office,
    policy: Policy,
    actor: str,
    resting: Collection[str] = (),
) -> tuple[Look, Iterator[Outcome]]:
    """What is proposed, and its issuing one by one as the iterator is read.

    `Refusal` at once if no dry run of this policy was audited. A proposal that is refused is an
    outcome, audited too, and does not stop the next; what the driver raises, is raised.
    """
    only_the_centre(office)
    with connection, connection.cursor() as cursor:
        if not _was_tried(cursor, policy.digest):
            raise Refusal(
                "supervision_untried",
                f"this supervision policy ({policy.digest[:12]}) was never tried as it stands: run "
                "`petitionlink supervise` without --issue first and look at what it proposes",
            )
    found = look(connection, policy, office.clock(), resting)
    return found, (_issue(connection, office, policy, one, actor) for one in found.proposals)


def only_the_centre(office: Office) -> None:
    """`Refusal` anywhere else."""
    if office.node != NATIONAL:
        raise Refusal(
            "supervision_national",
            f"routine supervision runs at the centre {NATIONAL}, not at node {office.node}",
        )


def _was_tried(cursor: Cursor, digest: str) -> bool:
    """Return whether a dry run of the policy of this digest stands in the audit log."""
    cursor.execute(_WAS_TRIED, (digest,))
    return cursor.fetchone() is not None


def _proposals(connection: Connection, policy: Policy, now: int) -> Iterator[Proposal]:
    planned: dict[str, list[Issued]] = {}
    for rule in policy.rule:
        for page in pages(connection, rule, now):
            issued = issued_for(connection, page) if page else {}
            for duty in page:
                about = [*issued[duty.case_id], *planned.get(duty.case_id, ())]
                one = propose(policy, rule, duty, about, now)
                if one is not None:
                    # Two late duties of one ground are one letter.
                    mine = Issued(one.kind, one.grounds, NATIONAL, one.to, now)
                    planned.setdefault(duty.case_id, []).append(mine)
                    yield one


def _issue(
    connection: Connection, office: Office, policy: Policy, proposal: Proposal, actor: str
) -> Outcome:
    (rule,) = (one for one in policy.rule if one.name == proposal.rule)
    detail = {"policy": policy.digest, **proposal._asdict()}
    command = _command(rule, proposal, office.clock(), actor)
    try:
        with handled(connection, office, command) as (cursor, done):
            _judge_again(policy, rule, proposal, done)
            whole = {**detail, "supervision_id": done.event.event_id}
            audit_log.note(cursor, actor, _ISSUED, whole, proposal.case_id)
    except (Refusal, Invalid) as error:
        name = error.rule if isinstance(error, Refusal) else "invalid"
        with connection, connection.cursor() as cursor:
            whole = {**detail, "refusal": name}
            audit_log.note(cursor, actor, _REFUSED, whole, proposal.case_id)
        return Outcome(proposal, None, name, str(error))
    return Outcome(proposal, done.event.event_id)


def _judge_again(policy: Policy, rule: PolicyRule, proposal: Proposal, done: Done) -> None:
    """In the transaction that holds the case: is it still so, leaving our own event aside?"""
    duty = Overdue(
        *(proposal.case_id, proposal.clock, proposal.event_id, proposal.to, proposal.due_at)
    )
    others = [one for key, one in done.case.supervisions.items() if key != done.event.event_id]
    now = done.event.occurred_at
    again = still_overdue(done.case, duty) and propose(policy, rule, duty, issued_of(others), now)
    if not again or again.kind != proposal.kind:
        raise Refusal(
            "supervision_settled", f"case {proposal.case_id} changed since: it needs this no more"
        )


def _command(rule: PolicyRule, proposal: Proposal, now: int, actor: str) -> Command:
    given: dict[str, Any] = {
        "kind": proposal.kind,
        "grounds": [*proposal.grounds],
        "to": proposal.to,
        "requirement": f"{rule.requirement}({_named(proposal)})",
    }
    return Command("supervise", proposal.case_id, now, actor, given)


def _named(proposal: Proposal) -> str:
    last = (_EPOCH + timedelta(microseconds=proposal.due_at - 1)).astimezone(CHINA).date()
    name = "交办" if proposal.clock == ASSIGNED else proposal.clock
    return f"{name},期限 {last.isoformat()}"
