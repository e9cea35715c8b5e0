"""Execute one command 执行指令 of a request, with or without an idempotency key."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import psycopg2
from psycopg2.errors import TransactionRollback

from cases.errors import Refusal
from cases.vocabulary import event_types as types
from node.enquiry_access import query_codes
from node.entrypoints.web.idempotency import AnsweredMeanwhile, AnswerKey, keep_answer, read_answer
from node.entrypoints.web.problems import INVALID, REFUSED, problem
from node.entrypoints.web.services import Services
from node.keys.office import Office
from node.postgres.commit_outcome import was_committed
from node.postgres.connection import Connection
from node.runtime.errors import PetitionLinkError, Transient
from node.store.command_gate import NotConfirmed
from producers.commands.draft_event import Command
from producers.commands.handle import Done, OutcomeUnknown, handled
from producers.commands.parse import parse
from schemas.errors import Invalid

# If two writers met in one case, the second attempt finds the row that the first one made.
_ATTEMPTS = 3

Result = dict[str, Any]


class _Unanswered(Exception):
    """The commit of a command was not answered; `result` is its result if it went through."""

    def __init__(self, lost: OutcomeUnknown, result: Result) -> None:
        self.lost = lost
        self.result = result


def execute(
    services: Services, actor: str, given: Mapping[str, Any], key: AnswerKey | None
) -> Result:
    """Return the result of one command: done now, or done before under the same key.

    Raises `KeyReused`, and what the driver raises; then this command was not done. Raises
    `OutcomeUnknown` if Postgres went away at the commit and does not come back to tell.
    """
    office = replace(services.office, actor=actor)
    try:
        with services.connections() as connection:
            kept = key and read_answer(connection, key)
            if kept:
                return kept
            try:
                command = parse(given, office)
            except (Refusal, Invalid) as error:
                return _invalid(error)
            services.connections.check_commits(connection)
            try:
                return _attempt(connection, office, command, key)
            except AnsweredMeanwhile:
                kept = key and read_answer(connection, key)
                if kept:
                    return kept
                raise Transient(
                    "the answer kept under an idempotency key was removed just now"
                ) from None
    except _Unanswered as commit:
        if _was_committed(services, commit.lost):
            return commit.result
        raise Transient("the connection was lost before the commit") from commit.lost


def _attempt(
    connection: Connection, office: Office, command: Command, key: AnswerKey | None
) -> Result:
    """Return the result of a command, or the problem that keeps it from being done."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _write(connection, office, command, key)
        except Refusal as error:
            result = {"ok": False, **problem(REFUSED, str(error), error.rule)}
            # Kept, or the command, sent again, might be legal and done after its followers.
            if key is not None:
                with connection, connection.cursor() as cursor:
                    keep_answer(cursor, key, result)
            return result
        except Invalid as error:
            return _invalid(error)
        except NotConfirmed:
            raise
        except (Transient, TransactionRollback):
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _write(
    connection: Connection, office: Office, command: Command, key: AnswerKey | None
) -> Result:
    """Do the command in one transaction, with its query code and its kept answer."""
    query_code = None
    try:
        with handled(connection, office, command) as (cursor, done):
            if done.event.type == types.REGISTERED:
                query_code = query_codes.issue(cursor, done.case.case_id, done.event.actor)
            if key is not None:
                keep_answer(cursor, key, _done(done))
    except OutcomeUnknown as lost:
        raise _Unanswered(lost, _done(lost.done, query_code)) from lost
    return _done(done, query_code)


def _was_committed(services: Services, lost: OutcomeUnknown) -> bool:
    services.connections.doubt()
    try:
        with services.connections() as connection:
            return was_committed(connection, lost.transaction)
    except (PetitionLinkError, psycopg2.Error):
        raise lost from None


def _done(done: Done, query_code: str | None = None) -> Result:
    return {
        "ok": True,
        "case_id": done.case.case_id,
        "event_id": done.event.event_id,
        "event_type": done.event.type,
        "version": done.event.version,
        "state": done.case.state,
        "query_code": query_code,
    }


def _invalid(error: Refusal | Invalid) -> Result:
    """Return a result that is not kept: the same request stays wrong, and the text may quote it."""
    rule = error.rule if isinstance(error, Refusal) else ""
    return {"ok": False, **problem(INVALID, str(error), rule)}
