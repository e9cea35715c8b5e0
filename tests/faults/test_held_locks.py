"""docs/faults.md 6: somebody's session holds the row of a case, as a forgotten psql does."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
from support.ledgers import await_settled
from support.processes import Process, one, running_nodes
from support.web import new_case
from support.world import WAIT_SECONDS, event, eventually, raw, rows, send

from node.kafka.topic_names import downlink
from node.localstack import LocalStack
from node.localstack.binaries import binary_folder
from node.runtime.settings import Settings

CENTRE, SHANDONG = "000000", "370000"
_WAITING = """
    select count(*) from pg_stat_activity
    where wait_event_type = 'Lock' and application_name = %s and datname = current_database()
"""


@contextmanager
def row_held(settings: Settings, case_id: str) -> Iterator[None]:
    """A `psql` of somebody holds the case's row inside the block, in an open transaction."""
    psql = subprocess.Popen(
        [str(binary_folder(None) / "psql"), "-qAt", settings.dsn],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert psql.stdin is not None
    assert psql.stdout is not None
    try:
        psql.stdin.write(
            f"begin; select case_id from petition_case where case_id = '{case_id}' for update;\n"
        )
        psql.stdin.flush()
        assert psql.stdout.readline().strip() == case_id
        yield
    finally:
        psql.stdin.close()
        psql.wait(WAIT_SECONDS)
        psql.stdout.close()


def waits(settings: Settings, role: str) -> bool:
    """True if a connection of this role waits for a lock."""
    return bool(rows(settings, _WAITING, (f"petitionlink-{role}",))[0][0])


def test_a_row_that_somebody_holds_hangs_neither_readiness_nor_sigterm(
    new_nodes: LocalStack, new_shandong: Settings
) -> None:
    """Consumer and a command wait for the row; the node says that it is ready, takes other
    commands, and ends within its 30 s when it is told to (`Process.stop`)."""
    base = f"http://127.0.0.1:{new_nodes.http_port(SHANDONG)}"
    with (
        one(lambda: Process(new_nodes, SHANDONG)) as process,
        httpx.Client(base_url=base, timeout=WAIT_SECONDS) as client,
        ThreadPoolExecutor(1) as beside,
    ):
        eventually(lambda: client.get("/readyz").status_code == 200, "it is ready")
        case_id = new_case(client)
        accept = {"command": "accept", "case_id": case_id}
        with row_held(new_shandong, case_id):
            come = event(case_id, 2, CENTRE, type_="petition.case.assigned.v1",
                         body={"to": SHANDONG})  # fmt: skip
            send(new_shandong, downlink(SHANDONG), [raw(come)])
            eventually(lambda: waits(new_shandong, "consumer"), "the consumer waits for the row")
            answer = beside.submit(httpx.post, f"{base}/v1/commands", json=accept, timeout=60)
            eventually(lambda: waits(new_shandong, "web"), "a command waits for the row")
            ready = client.get("/readyz")
            assert (ready.status_code, ready.json()["stopped"]) == (200, [])
            new_case(client)
            assert process.stop() == 0
            assert not process.is_alive
            try:
                assert answer.result().status_code == 503
            except httpx.TransportError:
                """The process ended first; the command was rolled back with its connection."""
    with running_nodes(new_nodes, CENTRE, SHANDONG):
        query = "select count(*) from case_event where event_id = %s"
        eventually(lambda: rows(new_shandong, query, (come.event_id,)) == [(1,)], "it is applied")
        await_settled(new_nodes)
