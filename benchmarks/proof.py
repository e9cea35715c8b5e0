"""`python -m benchmarks.proof`: what a proof of equality costs, whatever the ledgers hold.

Both nodes hold the same events of invented cases, ten a case, whose digests are made by the same
statement that the migration uses. The round is the real one, without Kafka between the two: its
questions and answers, and the snapshots that they read.
"""

import statistics
import time
from typing import Final

from benchmarks.home import bench_stack, empty
from cases.nodes import NATIONAL
from node.entrypoints.cli.output import out, say, table
from node.localstack import LocalStack
from node.postgres.connection import Connection, connected
from node.reconcile import responder
from node.reconcile.initiator import Round
from node.reconcile.protocol import Digests, Verdict

_PROVINCE: Final = "370000"
_SIZES: Final = (10_000, 100_000, 1_000_000)
_RUNS: Final = 7
_FILL = """
    insert into case_event (event_id, case_id, event_type, version, emitter, emitter_sequence,
        occurred_at, recorded_at, actor, rule_set, body, value, traceparent, digest)
    select (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '70008000'
            || lpad(to_hex(n), 12, '0'))::uuid,
        %(emitter)s || '-20261125-' || lpad(to_hex(n / 10), 8, '0'), 'petition.case.progressed.v1',
        n %% 10 + 1, %(emitter)s, n %% 10 + 1, now(), now(), 'bench', 'XF2022',
        '{"progress": "…"}', decode(repeat('00', 700), 'hex'), '', hashint8extended(n, 7)
    from generate_series(1, %(events)s) n
"""
_DIGESTS = """
    insert into case_digest
    select %(peer)s, case_id, get_byte(decode(md5(case_id), 'hex'), 0), count(*), bit_xor(digest)
    from case_event group by case_id;
    insert into digest_bucket
    select peer, bucket, sum(events), bit_xor(digest) from case_digest group by peer, bucket;
"""


def main() -> None:
    """Fill, prove, print."""
    rows = []
    with bench_stack(say) as stack:
        for events in _SIZES:
            say(f"{events:,} events at both nodes")
            _fill(stack, events)
            rows.append((f"{events:,}", *_measured(stack)))
    columns = ("events shared", "both sides, ms", "asked, bytes", "answered, bytes")
    out.print(table(f"a proof of equality, median of {_RUNS}", columns, rows))


def _fill(stack: LocalStack, events: int) -> None:
    empty(stack, [NATIONAL, _PROVINCE])
    for node, peer in ((NATIONAL, _PROVINCE), (_PROVINCE, NATIONAL)):
        with connected(stack.dsn(node), "bench") as connection:
            with connection, connection.cursor() as cursor:
                cursor.execute(_FILL, {"emitter": _PROVINCE, "events": events})
                cursor.execute(_DIGESTS, {"peer": peer})
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("vacuum (analyze) case_event, case_digest, digest_bucket")


def _measured(stack: LocalStack) -> tuple[str, int, int]:
    with (
        connected(stack.dsn(_PROVINCE), "bench") as own,
        connected(stack.dsn(NATIONAL), "bench") as other,
    ):
        runs = [_proof(own, other) for _ in range(_RUNS + 1)][1:]
    median = statistics.median(seconds for seconds, _, _ in runs)
    return f"{median * 1000:.1f}", runs[-1][1], runs[-1][2]


def _proof(own: Connection, other: Connection) -> tuple[float, int, int]:
    began = time.perf_counter()
    with own, own.cursor() as cursor:
        (question,) = Round(_PROVINCE, NATIONAL, "bench").begin(cursor)
    assert isinstance(question, Digests)
    with other, other.cursor() as cursor:
        (answer,) = responder.answer_digests(cursor, NATIONAL, _PROVINCE, question)
    seconds = time.perf_counter() - began
    assert isinstance(answer, Verdict)
    assert answer.verdict == "equal"
    return seconds, len(question.payload()), len(answer.payload())


if __name__ == "__main__":
    main()
