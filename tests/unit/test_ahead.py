"""A helper process that works ahead: in order, never far ahead, and never silently gone."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from producers.register import RegisterError
from producers.register_import.iterate_in_subprocess import HelperLost, iterate_in_subprocess


def helper_pid() -> int:
    """Return the process that `ahead` began."""
    (helper,) = multiprocessing.active_children()
    assert helper.pid
    return helper.pid


def test_all_comes_in_order_from_another_process() -> None:
    with iterate_in_subprocess((number, os.getpid()) for number in range(300)) as made:
        found = [*made]
    assert [number for number, _ in found] == [*range(300)]
    assert {pid for _, pid in found}.isdisjoint({os.getpid()})


def test_nothing_is_taken_for_the_end() -> None:
    with iterate_in_subprocess(iter([None, (), [None], 0])) as made:
        assert [*made] == [None, (), [None], 0]


def test_what_is_raised_comes_after_what_was_made_before() -> None:
    def breaking() -> Iterator[int]:
        yield 1
        raise RegisterError("the workbook breaks off")

    with iterate_in_subprocess(breaking()) as made:
        assert next(made) == 1
        with pytest.raises(RegisterError, match="the workbook breaks off"):
            next(made)


def test_a_defect_tells_where_it_was() -> None:
    with (
        iterate_in_subprocess(1 // number for number in (1, 0)) as made,
        pytest.raises(ZeroDivisionError) as found,
    ):
        list(made)
    assert any(__file__ in note for note in found.value.__notes__)


def test_a_killed_helper_is_noticed_and_named() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1 << 20)

    with iterate_in_subprocess(endless()) as made:
        next(made)
        os.kill(helper_pid(), signal.SIGKILL)
        with pytest.raises(HelperLost, match=r"signal 9.*: run the same command again") as found:
            list(made)
    assert "\n" not in str(found.value)


def test_a_killed_helper_is_noticed_between_two_pieces() -> None:
    def dying() -> Iterator[int]:
        yield 1
        os.kill(os.getpid(), signal.SIGKILL)

    with iterate_in_subprocess(dying()) as made, pytest.raises(HelperLost):
        list(made)


def test_ctrl_c_is_left_to_the_one_who_asked() -> None:
    def slow() -> Iterator[int]:
        for number in range(5):
            time.sleep(0.02)
            yield number

    with iterate_in_subprocess(slow()) as made:
        next(made)
        os.kill(helper_pid(), signal.SIGINT)
        assert [*made] == [1, 2, 3, 4]


def test_leaving_the_block_early_ends_the_helper() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1 << 20)

    with suppress(KeyboardInterrupt), iterate_in_subprocess(endless()) as made:
        next(made)
        pid = helper_pid()
        raise KeyboardInterrupt
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_nothing_piles_up() -> None:
    made_so_far = multiprocessing.Value("i", 0)

    def counting() -> Iterator[bytes]:
        for _ in range(40):
            with made_so_far:
                made_so_far.value += 1
            yield bytes(1 << 20)

    with iterate_in_subprocess(counting()) as made:
        next(made)
        time.sleep(0.3)
        assert made_so_far.value <= 4
        assert len([*made]) == 39
