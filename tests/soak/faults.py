"""The kinds of faults, one table: what is done, for how long, and that it ends.

Each takes the world and a source of chance, breaks something, waits, and puts it back. None of
them looks at the outcome: that is the oracle's business, when all is quiet.
"""

import random
import time
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

from soak import clocks, foreign, ledger, records
from soak.world import READY_SECONDS, World
from support.processes import Process
from support.proxy import Conditions, Proxy
from support.servers import broker_frozen, broker_killed, postgres_away
from support.standby import promote_standby
from support.world import rows

from node.postgres.connection import connect

Do = Callable[[World, random.Random], None]

_TERMINATE = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like "
_TRIGGER = """
    create function soak_refuse() returns trigger language plpgsql as $$
    begin raise exception 'made up by the soak' using errcode = '%s'; end $$;
    create trigger soak_refuse before insert on case_event execute function soak_refuse()
"""
_NO_TRIGGER = """
    drop trigger if exists soak_refuse on case_event; drop function if exists soak_refuse
"""
# For the roles of processes that the desks do not share a connection with.
_READ_ONLY = "alter database petitionlink_{} set default_transaction_read_only = on"
_WRITABLE = (
    "set transaction read write; alter database petitionlink_{} reset default_transaction_read_only"
)
_REFUSED_CODES = ("53100", "40001", "55P03")
_LOCK_SECONDS = 60.0
_POLL_SECONDS = 0.5


class Kind(NamedTuple):
    """A kind of fault: its name, the rows of docs/faults.md it stands for, how often it is
    drawn."""

    name: str
    rows: str
    weight: int
    do: Do


def _any_process(world: World, chance: random.Random) -> str:
    return chance.choice([*world.processes])


def _any_link(world: World, chance: random.Random) -> Proxy:
    return chance.choice([*world.kafka_links.values(), world.postgres_link])


def kill(world: World, chance: random.Random) -> None:
    """kill -9, and started again."""
    name = _any_process(world, chance)
    world.processes[name].kill()
    time.sleep(chance.uniform(0, 2))
    world.start(name)


def freeze(world: World, chance: random.Random) -> None:
    """SIGSTOP, sometimes beyond the session's 10 s, and SIGCONT."""
    process: Process = world.processes[_any_process(world, chance)]
    process.freeze()
    time.sleep(chance.uniform(1, 22))
    process.thaw()


def restart(world: World, chance: random.Random) -> None:
    """SIGTERM, exit code 0, and started again."""
    name = _any_process(world, chance)
    world.stop(name)
    world.start(name)


def rolling(world: World, _: random.Random) -> None:
    """Restart every consumer of the centre in turn."""
    for name in [one for one in world.processes if one.split()[1] == world.centre]:
        world.stop(name)
        world.start(name).await_ready(READY_SECONDS)


def stop_postgres(world: World, chance: random.Random) -> None:
    """Shut Postgres down cleanly and start it again."""
    with postgres_away(world.stack):
        time.sleep(chance.uniform(1, 15))


def fail_over(world: World, chance: random.Random) -> None:
    """Promote an asynchronous standby that lacks the commits of the last moments."""
    promote_standby(world.stack, lambda: time.sleep(chance.uniform(0, 3)))


def cut_backends(world: World, chance: random.Random) -> None:
    """Backends are terminated again and again, whatever they are at."""
    node = chance.choice(world.nodes)
    for _ in range(chance.randint(3, 12)):
        rows(world.direct[node], _TERMINATE + "'petitionlink-%%' and pid <> pg_backend_pid()")
        time.sleep(chance.uniform(0, 0.5))


def refuse_writes(world: World, chance: random.Random) -> None:
    """Disk full, serialization failures, lock timeouts: the ledger takes nothing."""
    settings = world.direct[chance.choice(world.nodes)]
    rows(settings, _TRIGGER % chance.choice(_REFUSED_CODES))
    time.sleep(chance.uniform(1, 10))
    rows(settings, _NO_TRIGGER)


def read_only(world: World, chance: random.Random) -> None:
    """Let the database take no writes, as a standby before its promotion."""
    node = chance.choice(world.nodes)
    rows(world.direct[node], _READ_ONLY.format(node))
    rows(world.direct[node], _TERMINATE + "'petitionlink-%%' and pid <> pg_backend_pid()")
    time.sleep(chance.uniform(1, 10))
    rows(world.direct[node], _WRITABLE.format(node))
    rows(world.direct[node], _TERMINATE + "'petitionlink-%%' and pid <> pg_backend_pid()")


def hold_lock(world: World, chance: random.Random) -> None:
    """Hold a lock on the cases, for up to a minute."""
    settings = world.direct[chance.choice(world.nodes)]
    with closing(connect(settings.dsn, "soak-lock")) as other, other.cursor() as cursor:
        cursor.execute("lock table petition_case in exclusive mode")
        time.sleep(chance.choice((2.0, 5.0, 5.0, _LOCK_SECONDS)))
        other.rollback()


def leave_open(world: World, chance: random.Random) -> None:
    """Leave a write transaction open, as if somebody forgot it."""
    settings = world.direct[chance.choice(world.nodes)]
    with closing(connect(settings.dsn, "soak-idle")) as other, other.cursor() as cursor:
        cursor.execute("select pg_current_xact_id()")
        time.sleep(chance.uniform(2, 20))
        other.rollback()


def kill_broker(world: World, chance: random.Random) -> None:
    """Kill the broker and start it again."""
    with broker_killed(world.stack):
        time.sleep(chance.uniform(0, 15))


def freeze_broker(world: World, chance: random.Random) -> None:
    """Let the broker answer nothing for a while."""
    with broker_frozen(world.stack):
        time.sleep(chance.uniform(1, 15))


def link_down(world: World, chance: random.Random) -> None:
    """Let a link refuse connections for long."""
    link = _any_link(world, chance)
    link.down()
    time.sleep(chance.uniform(3, 30))
    link.up()


def link_reset(world: World, chance: random.Random) -> None:
    """Reset all connections of a link, several times."""
    link = _any_link(world, chance)
    for _ in range(chance.randint(1, 10)):
        link.reset()
        time.sleep(chance.uniform(0, 1))


def link_cut(world: World, chance: random.Random) -> None:
    """Responses are cut in the middle."""
    link = _any_link(world, chance)
    link.cut_responses(*(chance.choice((2, 7, 60, 700, 5_000)) for _ in range(6)))
    deadline = time.monotonic() + 15
    while link.cuts_left and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def link_black_hole(world: World, chance: random.Random) -> None:
    """Take what is sent to the broker and never deliver it."""
    _under(chance.choice([*world.kafka_links.values()]), Conditions(swallows=True), chance)


def link_held(world: World, chance: random.Random) -> None:
    """Nothing comes for a while, then all of it."""
    _under(_any_link(world, chance), Conditions(holds=True), chance)


def link_slow(world: World, chance: random.Random) -> None:
    """500 ms ± jitter."""
    slow = Conditions(delay_seconds=0.5, jitter_seconds=0.3)
    _under(chance.choice([*world.kafka_links.values()]), slow, chance)


def link_narrow(world: World, chance: random.Random) -> None:
    """64 kbit/s."""
    narrow = Conditions(bits_per_second=64_000)
    _under(chance.choice([*world.kafka_links.values()]), narrow, chance)


def _under(link: Proxy, conditions: Conditions, chance: random.Random) -> None:
    link.conditions = conditions
    time.sleep(chance.uniform(2, 20))
    link.conditions = Conditions()


KINDS = (
    Kind("kill -9", "1, 2", 6, kill),
    Kind("SIGSTOP, SIGCONT", "3", 4, freeze),
    Kind("SIGTERM and restart", "24", 4, restart),
    Kind("backends terminated", "4", 4, cut_backends),
    Kind("Postgres stopped", "5", 2, stop_postgres),
    Kind("standby promoted, commits missing", "38", 2, fail_over),
    Kind("writes refused by SQLSTATE", "6", 3, refuse_writes),
    Kind("read-only database", "6", 2, read_only),
    Kind("lock held", "6", 2, hold_lock),
    Kind("transaction left open", "12", 2, leave_open),
    Kind("broker killed", "8", 2, kill_broker),
    Kind("broker frozen", "8", 2, freeze_broker),
    Kind("link down", "9", 3, link_down),
    Kind("link reset", "10", 3, link_reset),
    Kind("link cut inside responses", "10", 3, link_cut),
    Kind("link black-holed", "10", 2, link_black_hole),
    Kind("link held", "10", 2, link_held),
    Kind("link delayed 500 ms", "10", 2, link_slow),
    Kind("link at 64 kbit/s", "10", 2, link_narrow),
    Kind("poison written", "15, 16, 19", 4, records.poison),
    Kind("records written again", "19, 20", 4, records.repeat),
    Kind("transactions, committed and aborted", "28", 3, foreign.transaction),
    Kind("another codec", "29", 3, foreign.set_codec),
    Kind("topic deleted, made again, recovered", "31", 3, foreign.lose_topic),
    Kind("row of the ledger damaged", "26", 3, ledger.tamper),
    Kind("clock that jumps", "22, 34", 3, clocks.jump),
)
ROLLING = Kind("rolling restart, one round", "11", 0, rolling)


def draw(chance: random.Random, kinds: tuple[Kind, ...] = KINDS) -> Kind:
    """Draw the next fault."""
    return chance.choices(kinds, [kind.weight for kind in kinds])[0]
