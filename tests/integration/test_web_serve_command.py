"""`petitionlink serve` as an operator runs it."""

import httpx
from support.processes import Process
from support.world import eventually

from node.localstack import LocalStack


def test_serve_answers_until_sigterm_ends_it(stack: LocalStack) -> None:
    process = Process(stack, "660000", "serve")
    base = f"http://127.0.0.1:{stack.http_port('660000')}"
    try:
        eventually(lambda: _lives(process, base), "the web service answers")
        assert httpx.get(f"{base}/v1/status").json()["node"] == "660000"
        assert process.metric("dependency_up", dependency="postgres") == 1
        code = process.stop()
    finally:
        if process.is_alive:
            process.kill()
    assert code == 0
    assert "Traceback" not in process.text()


def _lives(process: Process, base: str) -> bool:
    assert process.is_alive, process.text()
    try:
        return httpx.get(f"{base}/readyz").status_code == 200
    except httpx.HTTPError:
        return False
