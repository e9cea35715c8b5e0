"""Executing one command 执行指令 of a request, with or without an idempotency key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import psycopg2
from psycopg2.errors import TransactionRollback

from cases.errors import Refusal
from cases.vocabulary import event_types as types
from node.enquiry_access import query_codes
from node.entrypoints.web.idempotency import AnsweredMeanwhile, Request, answered, keep
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

# Two writers that met in one case: the second attempt finds the row that the first one made.
_ATTEMPTS = 3

Result = dict[str, Any]


class Place(NamedTuple):
    """Where the result of a command is kept: under a request's key, by its place in the list."""

    request: Request
    number: int


class _Unanswered(Exception):
    """The commit of a command was not answered; `result` is its result if it went through."""

    def __init__(self, lost: OutcomeUnknown, result: Result) -> None:
        self.lost = lost
        self.result = result


def do(services: Services, actor: str, given: Mapping[str, Any], place: Place | None) -> Result:
    """Return the result of one command: done now, or done before under the same key.

    Raises `KeyReused`, and what the driver raises; then this command was not done. Raises
    `OutcomeUnknown` if Postgres went away at the commit and does not come back to tell.
    """
    office = replace(services.office, actor=actor)
    try:
        with services.connections() as connection:
            known = place and answered(connection, *place)
            if known:
                return known
            try:
                command = parse(given, office)
            except (Refusal, Invalid) as error:
                return _invalid(error)
            services.connections.check_commits(connection)
            try:
                return _answer(connection, office, command, place)
            except AnsweredMeanwhile:
                assert place is not None
                return answered(connection, *place) or _lost()
    except _Unanswered as commit:
        if _was_committed(services, commit.lost):
            return commit.result
        raise Transient("the connection was lost before the commit") from commit.lost


def _answer(
    connection: Connection, office: Office, command: Command, place: Place | None
) -> Result:
    """Return the result of a command, or the problem that keeps it from being done."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _execute(connection, office, command, place)
        except Refusal as error:
            result = {"ok": False, **problem(REFUSED, str(error), error.rule)}
            if place is not None:  # or, sent again, it might be legal and done after its followers
                with connection, connection.cursor() as cursor:
                    keep(cursor, *place, result)
            return result
        except Invalid as error:
            return _invalid(error)
        except NotConfirmed:
            raise
        except (Transient, TransactionRollback):
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _execute(
    connection: Connection, office: Office, command: Command, place: Place | None
) -> Result:
    """Do the command in one transaction, with its query code and its kept answer."""
    query_code = None
    try:
        with handled(connection, office, command) as (cursor, done):
            if done.event.type == types.REGISTERED:
                query_code = query_codes.issue(cursor, done.case.case_id, done.event.actor)
            if place is not None:
                keep(cursor, *place, _done(done))
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
    """Not kept: the same request is as wrong the next time, and its text may quote it."""
    rule = error.rule if isinstance(error, Refusal) else ""
    return {"ok": False, **problem(INVALID, str(error), rule)}


def _lost() -> Result:
    raise Transient("the answer kept under an idempotency key was removed just now")
