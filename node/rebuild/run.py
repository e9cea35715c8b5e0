"""Run a rebuild in these steps, on two connections.

1. The *keeper* takes the advisory lock: a second rebuild is refused, a killed one's lock is gone.
2. The *folder* folds the whole ledger into shadow tables, then the cases that changed meanwhile,
   until few are left; then it compares them with the live tables. Nobody waits for this.
3. The keeper locks writers out; readers continue. The folder folds and compares the last changed
   cases and commits, so that a report that begins now sees them after the swap.
4. The keeper swaps the tables and writes the audit log, in one transaction.

Steps 3 and 4 are given up and tried again while another transaction uses the tables: writers wait
no longer than the lock's limit and the folding of the last few cases.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import psycopg2
from psycopg2.errors import DeadlockDetected, DependentObjectsStillExist, LockNotAvailable

from node.postgres.advisory_lock import Lock, try_lock
from node.postgres.connection import Connection, Cursor, own_connected
from node.postgres.statements import read_value
from node.rebuild import compare, refold, shadow_tables
from node.rebuild.compare import Differences
from node.rebuild.losses import Losses
from node.runtime.errors import Fatal, Transient
from node.runtime.settings import Settings
from node.store import audit_log

Progress = Callable[[int, int], None]
"""Called with the number of cases folded and of all cases, about."""

# So few cases are folded within about a second, during which writers wait.
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
    """The result of a rebuild; `damaged` are the first cases with lost events."""

    cases: int
    events: int
    differences: Differences
    seconds: float
    swapped: bool
    damaged: Sequence[str] = ()
    damaged_count: int = 0

    @property
    def differs(self) -> bool:
        """Return whether any live row differed from the fold of the ledger."""
        return any(self.differences.counts.values())

    def as_json(self) -> dict[str, Any]:
        """Return a document for printing; names are limited, counts are exact."""
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

    Raises `Fatal` if another rebuild runs, or if events of the ledger are lost or damaged and
    `accept_loss` does not accept this; `Transient` if the tables were in use at every try. Whatever
    it raises, the live tables are as they were.
    """
    began = time.monotonic()
    with own_connected(settings, "rebuild") as keeper:
        with keeper, keeper.cursor() as cursor:
            if not try_lock(cursor, Lock.REBUILD):
                node = settings.node
                raise Fatal(f"node {node} is being rebuilt already: wait until that is done")
        with _shadow_tables(keeper) as live, _folder(settings, live) as folder:
            losses = Losses(settings.node, accepted=accept_loss or dry_run)
            last = _LastPass(folder, live, losses, policy)
            last.begin(_fold(folder, live, losses, progress))
            differences = _finish(keeper, last, None if dry_run else settings)
        events = _number(keeper, f"select count(*) from {live}.case_event")
        cases = _number(keeper, f"select count(*) from {live}.petition_case")
    seconds = time.monotonic() - began
    return Rebuilt(cases, events, differences, seconds, not dry_run, losses.names, losses.count)


@contextmanager
def _shadow_tables(keeper: Connection) -> Iterator[str]:
    """Yield the live schema's name; the shadow schema exists inside only."""
    with keeper, keeper.cursor() as cursor:
        live = shadow_tables.current_schema(cursor)
        shadow_tables.make(cursor, live)
    try:
        yield live
    finally:
        # If Postgres is away, the next rebuild does it.
        with suppress(psycopg2.Error), keeper, keeper.cursor() as cursor:
            shadow_tables.clear(cursor)


@contextmanager
def _folder(settings: Settings, live: str) -> Iterator[Connection]:
    with own_connected(settings, "rebuild") as connection:
        with connection, connection.cursor() as cursor:
            # A crash of Postgres can only lose a rebuild that was not swapped in.
            cursor.execute("set synchronous_commit = off")
            cursor.execute(f"set search_path = {shadow_tables.SCHEMA}, {live}")
        yield connection


def _fold(folder: Connection, live: str, losses: Losses, progress: Progress) -> str:
    """Fold everything; return the horizon from which on cases may have changed since."""
    total = _number(folder, f"select count(*) from {live}.petition_case")
    horizon = refold.horizon(folder)
    refold.fold_all(folder, live, losses, lambda done: progress(done, max(total, done)))
    with folder, folder.cursor() as cursor:
        losses.find_whole_cases(cursor, live)
        shadow_tables.make_indexes(cursor, live)
    folder.autocommit = True  # vacuum runs in no transaction
    with folder.cursor() as cursor:
        cursor.execute(f"vacuum (analyze) {', '.join(shadow_tables.TABLES)}")
    folder.autocommit = False
    for _ in range(_PASSES):
        before, horizon = horizon, refold.horizon(folder)
        changed = refold.changed_since(folder, before)
        refold.fold_again(folder, live, losses, changed)
        if len(changed) <= _FEW_CASES:
            break
    return horizon


class _LastPass:
    """Compares all cases, and folds the last changed ones while writers are locked out."""

    def __init__(
        self, folder: Connection, live: str, losses: Losses, policy: RebuildPolicy
    ) -> None:
        self.policy = policy
        self._folder = folder
        self._migrated = _number(folder, _MIGRATED)
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
        """Fold and compare the last cases and commit; raises `Fatal` if that cannot be done."""
        horizon = refold.horizon(self._folder)
        changed = refold.changed_since(self._folder, self._horizon)
        self._check(changed)
        refold.fold_again(self._folder, self.live, self._losses, changed)
        self._losses.check()
        with self._folder, self._folder.cursor() as cursor:
            compare.compare_again(cursor, self.live, changed)
            differences = compare.differences(cursor)
        self._horizon = horizon
        return differences

    def _check(self, changed: Sequence[str]) -> None:
        if _number(self._folder, _MIGRATED) != self._migrated:
            raise Fatal("the database was migrated meanwhile: run the rebuild again")
        if len(changed) > self.policy.most_cases:
            raise Fatal(
                f"{len(changed)} cases changed while they were folded, too many to let writers "
                "wait for: a transaction is open for long or much is being imported: try again "
                "when that has ended"
            )


def _finish(keeper: Connection, last: _LastPass, swaps: Settings | None) -> Differences:
    policy = last.policy
    for _ in range(policy.attempts):
        try:
            with keeper, keeper.cursor() as cursor:
                shadow_tables.lock(cursor, last.live, "exclusive", policy.writers_out_wait)
                differences = last.settle()
                if swaps is not None:
                    _swap(cursor, last.live, differences, swaps.actor)
        except (LockNotAvailable, DeadlockDetected):
            time.sleep(policy.pause_seconds)
        else:
            return differences
    raise Transient(
        f"the projections were in use whenever we tried ({policy.attempts} times): a transaction "
        "is open for long: end it and run the rebuild again"
    )


def _swap(cursor: Cursor, live: str, differences: Differences, actor: str) -> None:
    shadow_tables.lock(cursor, live, "access exclusive", _SWAP_WAIT)
    try:
        shadow_tables.swap(cursor, live)
    except DependentObjectsStillExist as error:
        detail = (error.diag.message_detail or "").partition("\n")[0]
        raise Fatal(
            f"the tables cannot be replaced: {detail}: drop that and create it again afterwards"
        ) from error
    audit_log.note(cursor, actor, "rebuild", {"counts": differences.counts, **differences.names})


def _number(connection: Connection, query: str) -> int:
    with connection, connection.cursor() as cursor:
        return int(read_value(cursor, query))
