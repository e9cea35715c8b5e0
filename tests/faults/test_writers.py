"""docs/faults.md 12: many writers that commit in any order, and a transaction that is left open."""

import random
import threading
import time
from contextlib import closing

from support.flows import LIFE, assert_in_order, flowing, live_many
from support.ledgers import assert_sound, await_settled
from support.world import count, eventually, running, sample

from cases.case import Case
from cases.fold import extend
from node.keys.office import open_office
from node.localstack import LocalStack
from node.postgres.connection import connect, connected
from node.queries.database_gauges import Observer
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.store.write_events import pack_own, write_own_events
from producers.commands.draft_event import draft
from producers.commands.parse import parse

OLDEST = "postgres_oldest_transaction_seconds"
WRITERS = 8
CASES_PER_WRITER = 4
_LONGEST_SECONDS = 0.05
_SEED = 20261125


def test_eight_writers_with_random_commits_lose_nothing_on_the_whole_way(
    new_centre: Settings, new_shandong: Settings, new_nodes: LocalStack
) -> None:
    """docs/faults.md 12. Seen failing with a relay that takes `id > last` instead of what is not
    marked (producers/relay/outbox_reader.py): rows whose transaction commits after a later one
    never leave."""
    chance = random.Random(_SEED)
    writers = [
        threading.Thread(target=_write_slowly, args=(new_shandong, random.Random(chance.random())))
        for _ in range(WRITERS)
    ]
    with flowing(new_centre, new_shandong):
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        await_settled(new_nodes)
    assert count(new_centre, "case_event") == WRITERS * CASES_PER_WRITER * len(LIFE)
    assert_in_order(new_centre, new_shandong)
    assert_sound(new_nodes)


def _write_slowly(settings: Settings, chance: random.Random) -> None:
    """Cases whose every event commits a random moment after its outbox row was written."""
    office = open_office(settings)
    with closing(connect(settings.dsn, "test")) as connection:
        for _ in range(CASES_PER_WRITER):
            case = None
            for given in LIFE:
                named = given if case is None else {**given, "case_id": case.case_id}
                command = parse(named, office)
                with connection, connection.cursor() as cursor:
                    held = case or Case(command.case_id)
                    one = draft(office, held, command)
                    write_own_events(cursor, office.node, pack_own([one]))
                    time.sleep(chance.uniform(0, _LONGEST_SECONDS))
                case = extend(held, [one])


def test_an_idle_transaction_in_another_database_of_the_cluster_stalls_nothing(
    new_centre: Settings, new_shandong: Settings, new_beijing: Settings, new_nodes: LocalStack
) -> None:
    """docs/faults.md 12. A relay that read below `pg_snapshot_xmin`, as the feed does, would be
    held up by any open write transaction of the cluster; the metric shows who is. Seen failing
    without the metric (node/queries/database_gauges.py)."""
    watched = Metrics()
    with connected(new_beijing.dsn, "idle") as idle, idle.cursor() as cursor:
        cursor.execute("create table idle_transaction (id integer)")
        with running(Observer(new_centre, watched), watched), flowing(new_centre, new_shandong):
            made = live_many(new_shandong, 2)
            await_settled(new_nodes)
            eventually(lambda: sample(watched, OLDEST) > 1, "the idle transaction is shown")
            idle.rollback()
            eventually(lambda: sample(watched, OLDEST) < 1, "it is gone")
    assert count(new_centre, "case_event") == made
    assert_sound(new_nodes)
