"""The pipeline: order, waiting, failures, and what is dropped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from consumers.pipeline import Pipeline

_LONG = 10.0


class Applier:
    """Applies numbers; each waits for its permit, and an odd thing may happen instead."""

    def __init__(self) -> None:
        self.permits = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.applied: list[int] = []
        self.failing: dict[int, Exception] = {}

    def __call__(self, number: int) -> None:
        self.begun.release()
        assert self.permits.acquire(timeout=_LONG)
        if number in self.failing:
            raise self.failing[number]
        self.applied.append(number)


def blocked(call: Callable[..., None], *arguments: int) -> threading.Thread:
    """`call` on a thread of its own, where it waits."""
    waiting = threading.Thread(target=call, args=arguments)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    return waiting


@contextmanager
def pipeline(apply: Callable[[int], None]) -> Iterator[Pipeline[int]]:
    made = Pipeline(apply)
    try:
        yield made
    finally:
        made.close()


def test_everything_is_applied_once_in_the_order_in_which_it_was_handed_over() -> None:
    applier = Applier()
    applier.permits.release(100)
    with pipeline(applier) as made:
        for number in range(100):
            made.hand_over(number)
        made.drain()
        assert made.idle
    assert applier.applied == [*range(100)]


def test_who_hands_over_goes_on_while_one_is_applied_and_waits_with_the_next() -> None:
    applier = Applier()
    with pipeline(applier) as made:
        made.hand_over(0)
        assert applier.begun.acquire(timeout=_LONG)
        assert not made.idle
        second = blocked(made.hand_over, 1)
        applier.permits.release(2)
        second.join(_LONG)
        made.drain()
    assert applier.applied == [0, 1]


def test_a_failure_is_raised_once_and_what_is_handed_over_then_is_forgotten() -> None:
    applier = Applier()
    applier.failing[0] = KeyError("refused")
    applier.permits.release(2)
    with pipeline(applier) as made:
        made.hand_over(0)
        made.drain()
        assert not made.idle
        with pytest.raises(KeyError, match="refused"):
            made.hand_over(1)
        made.check()
        assert made.idle
        made.hand_over(2)
        made.drain()
    assert applier.applied == [2]


def test_dropping_waits_for_what_is_being_applied() -> None:
    applier = Applier()
    with pipeline(applier) as made:
        made.hand_over(0)
        assert applier.begun.acquire(timeout=_LONG)
        dropping = blocked(made.drop)
        applier.permits.release(1)
        dropping.join(_LONG)
        assert made.idle
    assert applier.applied == [0]


def test_a_failure_is_forgotten_when_everything_is_dropped() -> None:
    applier = Applier()
    applier.failing[0] = KeyError("refused")
    applier.permits.release(1)
    with pipeline(applier) as made:
        made.hand_over(0)
        made.drop()
        made.check()
        assert made.idle


def test_closing_ends_the_thread() -> None:
    before = threading.active_count()
    with pipeline(Applier()):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
