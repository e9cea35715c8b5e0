"""`petitionlink topics …` as a person runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from support.world import WAIT_SECONDS

from node.localstack import LocalStack


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "node.entrypoints.cli", "topics", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


def test_plan_of_the_local_stack_has_the_topics_of_its_nodes(stack: LocalStack) -> None:
    done = run("plan", "--format", "json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    # Three provinces with five topics each, the dead letters and the own topic of the centre.
    assert len([each for each in shown if each["action"] != "undeclared"]) == 17
    assert {each["action"] for each in shown if each["topic"].endswith("370000")} == {"unchanged"}


def test_apply_twice_changes_nothing(stack: LocalStack) -> None:
    assert run("apply").returncode == 0
    done = run("apply")
    assert done.returncode == 0
    assert "applied: 0 create, 17 unchanged, 0 differs" in done.stderr


def test_plan_of_a_named_cluster_has_all_nodes(stack: LocalStack) -> None:
    done = run(
        "plan", "--format", "json", PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS=stack.bootstrap_servers
    )
    shown = {each["topic"]: each for each in json.loads(done.stdout)}
    assert shown["petition.downlink.540000"]["action"] == "create"
    # As declared for the real cluster, three replicas, which this one broker does not have.
    differences = shown["petition.uplink.370000"]["differences"]
    assert {each["setting"] for each in differences} == {
        "replication_factor",
        "min.insync.replicas",
    }


def test_apply_to_a_named_cluster_with_too_few_brokers_is_one_line_and_code_1(
    stack: LocalStack,
) -> None:
    done = run("apply", PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS=stack.bootstrap_servers)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: replication factor 3 is declared")
    assert done.stderr.count("\n") == 1


def test_no_cluster_is_one_line_and_code_1(stack_folder: Path) -> None:
    done = run("plan")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: no cluster is named")


def test_a_topics_file_that_is_not_there_is_named(stack: LocalStack, tmp_path: Path) -> None:
    missing = tmp_path / "topics.toml"
    done = run("plan", PETITIONLINK_TOPICS_FILE=str(missing))
    assert done.returncode == 1
    assert str(missing) in done.stderr
