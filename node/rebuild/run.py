"""The steps of a rebuild, on two connections.

1. The *keeper* takes the advisory lock: a second rebuild is refused, a killed one's lock is gone.
2. The *folder* folds the whole ledger into shadow tables, then what changed meanwhile, until little
   is left; then all of it is compared with the live tables. Nobody waits for any of this.
3. The keeper locks writers out; readers read on. The folder folds and compares the last changed
   cases and commits, so that a report that begins now sees them after the swap.
4. The keeper swaps the tables and writes the audit log, in one transaction.

Steps 3 and 4 give way when somebody holds the tables, and are tried again: writers never wait
longer than the lock's limit and the folding of the last few cases.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import psycopg2
from psycopg2.errors import DeadlockDetected, DependentObjectsStillExist, LockNotAvailable

from node.postgres.advisory_lock import Lock, try_lock
from node.postgres.connection import Connection, Cursor, own_connected
from node.rebuild import compare, refold, shadow_tables
from node.rebuild.compare import Differences
from node.rebuild.losses import Losses
from node.runtime.errors import Fatal, Transient
from node.runtime.settings import Settings
from node.store import audit_log

Progress = Callable[[int, int], None]
"""Called with the number of cases folded and of all cases, about."""

# So few cases are folded within about a second, in which writers wait.
_FEW_CASES = 1_000
# Each pass covers what changed during the one before, a small part of it.
_PASSES = 5
# Shorter than deadlock_timeout: if a reader waits for us and we for it, we give way.
_SWAP_WAIT = "800ms"

_MIGRATED = "select max(number) from schema_migration"


class RebuildPolicy(NamedTuple):
    """The limits of a rebuild: how much is folded while writers wait, and how often it tries."""

    most_cases: int = 10_000
    # Longer than deadlock_timeout: after that Postgres makes autovacuum give way.
    writers_out_wait: str = "2s"
    attempts: int = 30
    pause_seconds: float = 1.0


DEFAULT_POLICY = RebuildPolicy()


class Rebuilt(NamedTuple):
    """What a rebuild found and did."""

    cases: int
    events: int
    differences: Differences
    seconds: float
    swapped: bool
    damaged: Sequence[str] = ()
    damaged_count: int = 0

    @property
    def differs(self) -> bool:
        """Whether any live row was not what the ledger gives."""
        return any(self.differences.counts.values())

    def as_json(self) -> dict[str, Any]:
        """One document; names are limited, counts are exact."""
        return {
            "cases": self.cases,
            "events": self.events,
            **self.differences.names,
            "counts": self.differences.counts,
            "seconds": round(self.seconds, 1),
            "swapped": self.swapped,
            "damaged": [*self.damaged],
            "damaged_count": self.damaged_count,
        }


def rebuild(
    settings: Settings,
    progress: Progress,
    *,
    dry_run: bool = False,
    accept_loss: bool = False,
    policy: RebuildPolicy = DEFAULT_POLICY,
) -> Rebuilt:
    """Fold all projections again from the bytes, compare, and swap them in unless `dry_run`.

    Raises `Fatal` if another rebuild runs, or if the ledger has lost or damaged events and this is
    not accepted by `accept_loss`; `Transient` if the tables were never free for a moment.
    Whatever it raises, the live tables are as they were.
    """
    began = time.monotonic()
    with own_connected(settings, "rebuild") as keeper:
        _take_lock(keeper, settings.node)
        with _shadow_tables(keeper) as live, _folder(settings, live) as folder:
            losses = Losses(settings.node, accepted=accept_loss or dry_run)
            last = _Last(folder, live, losses, policy)
            last.begin(_fold(folder, live, losses, progress))
            found = _finish(keeper, last, None if dry_run else settings)
        events = _count(keeper, f"{live}.case_event")
        cases = _count(keeper, f"{live}.petition_case")
    seconds = time.monotonic() - began
    return Rebuilt(cases, events, found, seconds, not dry_run, losses.names, losses.count)


def _take_lock(keeper: Connection, node: str) -> None:
    with keeper, keeper.cursor() as cursor:
        if not try_lock(cursor, Lock.REBUILD):
            raise Fatal(f"node {node} is being rebuilt already: wait until that is done")


@contextmanager
def _shadow_tables(keeper: Connection) -> Iterator[str]:
    """The live schema's name; the shadow schema exists inside, and nothing of it behind."""
    with keeper, keeper.cursor() as cursor:
        live = shadow_tables.current_schema(cursor)
        shadow_tables.make(cursor, live)
    try:
        yield live
    finally:
        # If Postgres is away the next rebuild does it.
        with suppress(psycopg2.Error), keeper, keeper.cursor() as cursor:
            shadow_tables.clear(cursor)


@contextmanager
def _folder(settings: Settings, live: str) -> Iterator[Connection]:
    with own_connected(settings, "rebuild") as connection:
        with connection, connection.cursor() as cursor:
            # What is lost with a crash of Postgres is a rebuild that has not been swapped in.
            cursor.execute("set synchronous_commit = off")
            cursor.execute(f"set search_path = {shadow_tables.SCHEMA}, {live}")
        yield connection


def _fold(folder: Connection, live: str, losses: Losses, progress: Progress) -> str:
    """Fold everything; the horizon behind which cases may have changed since."""
    total = _count(folder, f"{live}.petition_case")
    horizon = refold.horizon(folder)
    refold.fold_all(folder, live, losses, lambda done: progress(done, max(total, done)))
    with folder, folder.cursor() as cursor:
        losses.look_for_whole_cases(cursor, live)
        shadow_tables.make_indexes(cursor, live)
    folder.autocommit = True  # vacuum runs in no transaction
    with folder.cursor() as cursor:
        cursor.execute(f"vacuum (analyze) {', '.join(shadow_tables.TABLES)}")
    folder.autocommit = False
    for _ in range(_PASSES):
        behind, horizon = horizon, refold.horizon(folder)
        changed = refold.changed_since(folder, behind)
        refold.fold_again(folder, live, losses, changed)
        if len(changed) <= _FEW_CASES:
            break
    return horizon


class _Last:
    """The comparison, and the last cases: folded while writers are locked out."""

    def __init__(
        self, folder: Connection, live: str, losses: Losses, policy: RebuildPolicy
    ) -> None:
        self.policy = policy
        self._folder = folder
        self._migrated = _migrated(folder)
        self._losses = losses
        self.live = live
        self._horizon = "0"

    def begin(self, horizon: str) -> None:
        """Compare everything that was folded up to `horizon`; nobody waits for it."""
        self._check([])
        self._horizon = horizon
        with self._folder, self._folder.cursor() as cursor:
            compare.compare(cursor, self.live)

    def settle(self) -> Differences:
        """What differs now; everything is committed and holds no lock. `Fatal` if it cannot be."""
        horizon = refold.horizon(self._folder)
        changed = refold.changed_since(self._folder, self._horizon)
        self._check(changed)
        refold.fold_again(self._folder, self.live, self._losses, changed)
        self._losses.check()
        with self._folder, self._folder.cursor() as cursor:
            compare.compare_again(cursor, self.live, changed)
            found = compare.differences(cursor)
        self._horizon = horizon
        return found

    def _check(self, changed: Sequence[str]) -> None:
        if _migrated(self._folder) != self._migrated:
            raise Fatal("the database was migrated meanwhile: run the rebuild again")
        if len(changed) > self.policy.most_cases:
            raise Fatal(
                f"{len(changed)} cases changed while they were folded, too many to let writers "
                "wait for: a transaction is open for long or much is being imported: try again "
                "when that has ended"
            )


def _finish(keeper: Connection, last: _Last, swaps: Settings | None) -> Differences:
    policy = last.policy
    for _ in range(policy.attempts):
        try:
            with keeper, keeper.cursor() as cursor:
                shadow_tables.lock(cursor, last.live, "exclusive", policy.writers_out_wait)
                found = last.settle()
                if swaps is not None:
                    _swap(cursor, last.live, found, swaps.actor)
        except (LockNotAvailable, DeadlockDetected):
            time.sleep(policy.pause_seconds)
        else:
            return found
    raise Transient(
        f"the projections were in use whenever we tried ({policy.attempts} times): a transaction "
        "is open for long: end it and run the rebuild again"
    )


def _swap(cursor: Cursor, live: str, found: Differences, actor: str) -> None:
    shadow_tables.lock(cursor, live, "access exclusive", _SWAP_WAIT)
    try:
        shadow_tables.swap(cursor, live)
    except DependentObjectsStillExist as error:
        detail = (error.diag.message_detail or "").partition("\n")[0]
        raise Fatal(
            f"the tables cannot be replaced: {detail}: drop that and make it again after the "
            "rebuild"
        ) from error
    audit_log.note(cursor, actor, "rebuild", {"counts": found.counts, **found.names})


def _migrated(connection: Connection) -> int:
    with connection, connection.cursor() as cursor:
        cursor.execute(_MIGRATED)
        (number,) = cursor.fetchone() or (0,)
    return int(number)


def _count(connection: Connection, table: str) -> int:
    with connection, connection.cursor() as cursor:
        cursor.execute(f"select count(*) from {table}")
        (number,) = cursor.fetchone() or (0,)
    return int(number)
