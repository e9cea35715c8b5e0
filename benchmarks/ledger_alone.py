"""The ledger alone 仅入账: the consumer as it ships, its transaction cut down to ledger and offset.

For comparison with what only inserts: polling, decoding, isolation, limits of dead letters and the
compare-and-set of the offsets stay; fold, projection, digests, accounts and onward copies are left
out. `python -m benchmarks.ledger_alone` is the process that is measured.
"""

from __future__ import annotations

from consumers import batch_applier, positions
from consumers.applying import Applied
from consumers.batch import Batch
from consumers.dead_letters import keep
from consumers.limits import tails
from consumers.loop import Consumer
from node import ledger, projection
from node.cli.running import run_workers
from node.postgres import Connection

NODE = "000000"


def apply_to_ledger(connection: Connection, _node: str, batch: Batch) -> Applied:
    """In place of `consumers.applying.apply_batch`."""
    with connection, connection.cursor() as cursor:
        positions.advance(cursor, batch.advances, tails(batch))
        new = ledger.write(cursor, [arrival.packed for arrival in batch.arrivals])
        keep(cursor, batch.poison)
    return Applied({event.event_id for event in new}, set(), set())


if __name__ == "__main__":
    vars(batch_applier).update(apply_batch=apply_to_ledger)
    vars(projection).update(fold_batch=lambda *_: [])
    run_workers(NODE, lambda settings, metrics: [Consumer(settings, metrics)])
