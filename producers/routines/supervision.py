"""Supervise routinely 常态督办: the centre finds what is overdue and issues what its policy says.

1. Look: compare every overdue duty of a rule with what was issued.
2. Dry run 试运行: show and audit the proposals. A policy without an audited dry run issues nothing,
   so that a mistake in it does not send out thousands of letters.
3. Issue 下发: one transaction each, which locks the case, checks again (the case may have been
   answered or supervised meanwhile), and audits.
"""

from collections import Counter
from collections.abc import Collection, Iterator
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
from schemas.instants import date_in_china

# The audited actions.
_TRIED: Final = "supervision.tried"  # 试运行
_ISSUED: Final = "supervision.issued"  # 下发
_REFUSED: Final = "supervision.refused"  # 未能下发
_WAS_TRIED: Final = (
    "select 1 from audit_log where action = 'supervision.tried' and detail ->> 'policy' = %s "
    "order by at desc limit 1"
)
# An audit line names at most this many cases of a round; the counts are complete.
_NAMED_CASES = 200


class Look(NamedTuple):
    """The proposals of a policy; `more` if its limit for a round cut them off."""

    proposals: list[Proposal]
    more: bool


class SupervisionOutcome(NamedTuple):
    """The outcome of a proposal: the event that was issued, or the rule that refused it."""

    proposal: Proposal
    event_id: str | None
    rule: str | None = None
    error: str | None = None


def look(connection: Connection, policy: Policy, now: int, resting: Collection[str] = ()) -> Look:
    """Return the proposals for now (micros), within the limit, without cases in `resting`."""
    every = (one for one in _proposals(connection, policy, now) if one.case_id not in resting)
    found = list(islice(every, policy.most_per_round + 1))
    return Look(found[: policy.most_per_round], len(found) > policy.most_per_round)


def dry_run(connection: Connection, office: Office, policy: Policy, actor: str) -> Look:
    """Look and audit; issue nothing."""
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
) -> tuple[Look, Iterator[SupervisionOutcome]]:
    """Return the proposals, and an iterator that issues them one by one.

    Raises `Refusal` at once if no dry run of this policy was audited. A refused proposal is an
    outcome, audited too, and does not stop the next. Errors of the driver are raised.
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
    """Raise `Refusal` at any other node."""
    if office.node != NATIONAL:
        raise Refusal(
            "supervision_national",
            f"routine supervision runs at the centre {NATIONAL}, not at node {office.node}",
        )


def _was_tried(cursor: Cursor, digest: str) -> bool:
    """Return whether the audit log has a dry run of the policy of this digest."""
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
) -> SupervisionOutcome:
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
        return SupervisionOutcome(proposal, None, name, str(error))
    return SupervisionOutcome(proposal, done.event.event_id)


def _judge_again(policy: Policy, rule: PolicyRule, proposal: Proposal, done: Done) -> None:
    """Check the duty again in the transaction that locks the case, without its own event."""
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
    last = date_in_china(proposal.due_at - 1)
    name = "交办" if proposal.clock == ASSIGNED else proposal.clock
    return f"{name},期限 {last.isoformat()}"
