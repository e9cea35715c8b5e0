"""Each error of the driver is classified as transient or fatal."""

import psycopg2
import pytest

from node.runtime.errors import Fatal, Transient, classified


@pytest.mark.parametrize(
    "error",
    [
        psycopg2.OperationalError("server closed the connection unexpectedly"),
        psycopg2.InterfaceError("connection already closed"),
        # What a reset in the middle of an answer gives.
        psycopg2.DatabaseError("server closed the connection unexpectedly"),
    ],
)
def test_a_lost_connection_is_waited_for(error: psycopg2.Error) -> None:
    assert isinstance(classified(error), Transient)


def test_a_mistake_of_ours_is_not_taken_for_a_lost_connection() -> None:
    assert isinstance(classified(psycopg2.ProgrammingError("no results to fetch")), Fatal)
