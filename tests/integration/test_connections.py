"""No Python code of ours runs inside the driver while it waits on our connections."""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from types import FrameType
from typing import Any

import psycopg2
import pytest

from node.postgres import copy_binary
from node.postgres.connection import Connection, connect
from node.runtime import watchdog

_ASK = "select %s as 标题, array['停水'] as 诉求"
_TELL = "do $$ begin raise notice '提示'; end $$"
_MAKE = "create temporary table 登记 (标题 text)"
_WRONG = "select 没有"


@pytest.fixture
def connection(fresh_dsn: Callable[..., str]) -> Iterator[Connection]:
    with closing(connect(fresh_dsn(), "test")) as made:
        yield made


def called_in(work: Callable[[], Any]) -> list[str]:
    """The functions written in Python that `work` runs, and those these run.

    Not those of the watchdog: they stand around the driver, where an error is raised as usual.
    """
    called: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename != watchdog.__file__:
            called.append(f"{frame.f_code.co_filename}: {frame.f_code.co_name}")

    sys.setprofile(note)
    try:
        work()
    except psycopg2.Error:
        pass
    finally:
        sys.setprofile(None)
    return called[1:]  # without `work` itself


def test_the_driver_runs_no_python_where_a_ctrl_c_would_be_lost(connection: Connection) -> None:
    """Seen failing with Python's own codec: an import went on to its end, 2 of 395."""
    with connection.cursor() as cursor:
        assert called_in(lambda: cursor.execute(_MAKE)) == []
        assert called_in(lambda: cursor.execute(_ASK, ("供暖不足",))) == []
        assert called_in(lambda: cursor.fetchall()) == []
        assert called_in(lambda: cursor.execute(_TELL)) == []
        assert called_in(lambda: connection.commit()) == []
        assert called_in(lambda: cursor.execute(_WRONG)) == []
        assert called_in(lambda: connection.rollback()) == []


def test_texts_come_back_as_they_were_in_rows_names_notices_and_errors(
    connection: Connection,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_ASK, ("𠀀供暖不足é",))
        assert cursor.fetchall() == [("𠀀供暖不足é", ["停水"])]
        assert cursor.description is not None
        assert [one.name for one in cursor.description] == ["标题", "诉求"]
        cursor.execute(_TELL)
        assert connection.notices == ["NOTICE:  提示\n"]
        cursor.execute(_MAKE)
        rows = [copy_binary.count(1) + copy_binary.text("𠀀")]
        copy_binary.copy(cursor, "登记", "标题", rows)
        cursor.execute("select 标题 from 登记")
        assert cursor.fetchall() == [("𠀀",)]
        with pytest.raises(psycopg2.errors.UndefinedColumn, match="没有"):
            cursor.execute(_WRONG)
