"""`petitionlink stack …` as a person runs it: what is printed where, and the exit code."""

import json
import subprocess
import sys
from pathlib import Path

from support.world import WAIT_SECONDS

from node.localstack import LocalStack


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "node.entrypoints.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


def test_status_of_a_stack_that_is_up(stack: LocalStack) -> None:
    done = run("stack", "status", "--format", "json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["up"] is True
    assert [server["name"] for server in shown["servers"]] == ["broker", "Postgres"]
    assert [node["node"] for node in shown["nodes"]] == stack.nodes
    assert all(node["database_up"] for node in shown["nodes"])


def test_status_shows_no_password(stack: LocalStack) -> None:
    secret = json.loads((stack.folder / "stack.json").read_text())["postgres"]["dsn"]
    word = dict(part.split("=") for part in secret.split())["password"]
    for form in ("table", "json"):
        assert word not in run("stack", "status", "--format", form).stdout


def test_up_of_a_stack_that_is_up_says_so_on_stderr_only(stack: LocalStack) -> None:
    run("stack", "up")  # completes what another test may have altered
    done = run("stack", "up")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("the stack is up: broker 127.0.0.1:")


def test_status_without_a_stack_is_one_line_and_code_1(stack_folder: Path) -> None:
    done = run("stack", "status")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: there is no local stack: run `petitionlink stack up`\n"


def test_an_unknown_node_is_one_line_and_code_1(stack: LocalStack) -> None:
    done = run("stack", "up", "--nodes", "370000,999999")
    assert done.returncode == 1
    assert done.stderr.startswith("error: node '999999' is unknown")
    assert done.stderr.count("\n") == 1


def test_down_without_a_stack_does_nothing(stack_folder: Path) -> None:
    done = run("stack", "down")
    assert (done.returncode, done.stdout) == (0, "")
