"""The supervising routine in tests."""

from typing import Any

from support.routines import ago, registered
from support.world import do, rows

from node.keys.office import open_office
from node.postgres.connection import connected
from node.runtime.settings import Settings
from producers.routines.supervision import Look, SupervisionOutcome, dry_run, issue
from producers.routines.supervision_policy import DEFAULT_FILE, Policy, read_policy
from schemas.instants import now_micros

DAY = 86_400_000_000
POLICY = read_policy(DEFAULT_FILE)


def sent(centre: Settings, days_ago: float, name: str = "assign", **given: Any) -> str:
    """Make a case that the centre sent to Shandong `days_ago` days ago, without an answer."""
    case_id = registered(centre, days_ago + 0.1).case_id
    do(centre, name, case_id=case_id, to="370000", occurred_at=ago(days_ago), **given)
    return case_id


def try_it(centre: Settings, policy: Policy = POLICY, days_later: int = 0) -> Look:
    office = open_office(centre, clock=lambda: now_micros() + days_later * DAY)
    with connected(centre.dsn, "test") as connection:
        return dry_run(connection, office, policy, "desk-1")


def issue_it(
    centre: Settings, policy: Policy = POLICY, days_later: int = 0
) -> list[SupervisionOutcome]:
    office = open_office(centre, clock=lambda: now_micros() + days_later * DAY)
    with connected(centre.dsn, "test") as connection:
        return [*issue(connection, office, policy, "desk-1")[1]]


def audited(centre: Settings) -> list[tuple[str, str | None]]:
    return rows(centre, "select action, case_id from audit_log order by id")


def only(*names: str, **changed: Any) -> Policy:
    """Return the shipped policy with some of its rules."""
    chosen = [rule for rule in POLICY.rule if rule.name in names]
    return POLICY.model_copy(update={"rule": chosen, **changed})
