"""Iterate in a subprocess 先行, which prepares the next items while this process uses Postgres.

The subprocess is forked, so it has all that was opened before; start it before there are threads or
connections. Items come in order, one at a time: it waits until the item before was taken.
"""

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
# An item has fewer objects and is gone once it was sent.
_OBJECTS = 200_000
# Sender and receiver alternate less often than with the system's 64 kB.
_PIPE_BYTES = 1 << 20


class HelperLost(PetitionLinkError):
    """The subprocess ended early: it was killed, or the memory ran out."""


@contextmanager
def iterate_in_subprocess(source: Iterable[_Made]) -> Iterator[Iterator[_Made]]:
    """Iterate over `source` in a subprocess, which ends with the block.

    An error of `source` is raised here after the items before it. Raises `HelperLost` if the
    subprocess is gone.
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
    except (EOFError, OSError):  # between two messages, or in the middle of one
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
    """Run in the subprocess and ignore Ctrl-C: the main process ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    here.close()
    collect_seldom(_OBJECTS)
    with suppress(BrokenPipeError):  # the import was killed
        error = _send_all(source, there)
        there.send(None)
        there.send(error)


def _send_all(source: Iterable[_Made], there: Connection) -> Exception | None:
    """Send each item in a tuple, which differs from the end; return the error of `source`."""
    try:
        for made in source:
            there.send((made,))
    except BrokenPipeError:
        raise
    except Exception as error:
        # A traceback cannot be pickled; its lines can.
        error.add_note(f"in process {os.getpid()}:\n{traceback.format_exc()}")
        return error
    return None
