"""The ledger alone 仅入账: the consumer as it ships, its transaction cut down to ledger and offset.

For comparison with what only inserts: polling, decoding, bisection, limits of dead letters and the
compare-and-set of the offsets stay; fold, projection, digests, accounts and onward copies are left
out. `python -m benchmarks.ledger_alone` is the process that is measured.
"""

from consumers import apply_batch, offsets
from consumers.batch import Batch
from consumers.consumer import Consumer
from consumers.dead_letter_limits import poison_tails
from consumers.dead_letters import keep
from consumers.outcomes import Outcome, classify
from node.entrypoints.cli.run import run_workers
from node.postgres.connection import Connection
from node.store import events, projection

NODE = "000000"


def apply_to_ledger(
    connection: Connection, _node: str, batch: Batch, _doubts: object
) -> list[Outcome]:
    """In place of `consumers.apply_batch.apply_batch`."""
    with connection, connection.cursor() as cursor:
        offsets.advance(cursor, batch.ranges, poison_tails(batch))
        new = events.write(cursor, [decoded.packed for decoded in batch.records])
        keep(cursor, batch.poison)
    return classify(batch, {event.event_id for event in new}, ())


if __name__ == "__main__":
    vars(apply_batch).update(apply_batch=apply_to_ledger)
    vars(projection).update(fold_batch=lambda *_: [])
    run_workers(NODE, lambda settings, metrics: [Consumer(settings, metrics)])
