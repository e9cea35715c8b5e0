"""Working ahead 先行: a process of its own makes what this one will want next.

While this process waits for Postgres or builds its statements, a helper does what needs no
database; each has a core. It is forked, so it has all that was opened before; it should be called
before there are threads or connections. What it makes comes in order, one at a time: it waits until
the one before was taken, so nothing piles up.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fcntl import F_SETPIPE_SZ, fcntl
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TypeVar

from node.runtime.errors import PetitionLinkError
from node.runtime.memory import collect_seldom

_Made = TypeVar("_Made")
_FORK = get_context("fork")
# What is made at a time is gone when it was sent, and is less than this.
_OBJECTS = 200_000
# Fewer turns of sender and receiver than with the system's 64 kB.
_PIPE_BYTES = 1 << 20


class HelperLost(PetitionLinkError):
    """The helper ended before its work was done: somebody killed it, or the memory ran out."""


@contextmanager
def ahead(source: Iterable[_Made]) -> Iterator[Iterator[_Made]]:
    """What `source` gives, made by a helper; that ends with the block, however it is left.

    What `source` raises is raised here, behind all that came before; `HelperLost` if the helper
    is gone.
    """
    here, there = _FORK.Pipe(duplex=False)
    with suppress(OSError):  # more than this user may have
        fcntl(there.fileno(), F_SETPIPE_SZ, _PIPE_BYTES)
    helper = _FORK.Process(target=_work, args=(source, here, there), daemon=True)
    helper.start()
    there.close()
    try:
        yield _received(here, helper)
    finally:
        here.close()
        helper.terminate()
        helper.join()


def _received(here: Connection, helper: BaseProcess) -> Iterator[_Made]:
    try:
        while (made := here.recv()) is not None:
            yield made[0]
        error = here.recv()
    except (EOFError, OSError):  # at the end of a piece, or in the middle of one
        helper.join()
        raise HelperLost(
            f"the process that reads and prepares ended too early ({_how(helper.exitcode)}): "
            "run the same command again, it goes on where it stopped"
        ) from None
    if error is not None:
        raise error


def _how(code: int | None) -> str:
    return f"signal {-code}" if code and code < 0 else f"exit code {code}"


def _work(source: Iterable[_Made], here: Connection, there: Connection) -> None:
    """In the helper: Ctrl-C is for the other one to hear, who then ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    here.close()
    collect_seldom(_OBJECTS)
    with suppress(BrokenPipeError):  # nobody listens any more: the import was killed
        error = _send_all(source, there)
        there.send(None)
        there.send(error)


def _send_all(source: Iterable[_Made], there: Connection) -> Exception | None:
    """Send each in a tuple of its own, so that it cannot be taken for the end; what was raised."""
    try:
        for made in source:
            there.send((made,))
    except BrokenPipeError:
        raise
    except Exception as error:
        # A traceback does not travel; the lines of it do.
        error.add_note(f"in process {os.getpid()}:\n{traceback.format_exc()}")
        return error
    return None
