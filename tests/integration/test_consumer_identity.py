"""Two machines of one host name and port: both consume, one says so, nobody is thrown out."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from support.world import count, event, eventually, raw, running, sample, send

from consumers.consumer import Consumer
from consumers.group_membership import instance_of, renamed
from node.kafka.topic_names import downlink
from node.localstack import LocalStack
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

SHANDONG = "370000"
CASE = "110000-20260401-7K3M9QXA"


def test_two_consumers_of_one_name_share_the_partitions_and_one_says_so_once(
    empty_topics: LocalStack,
    fresh_settings: Callable[..., Settings],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """docs/faults.md 39. Formerly: the one that was first ended, and was started to end the
    other."""
    shandong = fresh_settings(SHANDONG)
    first, second = Metrics(), Metrics()
    name = instance_of(SHANDONG, "clone", 9464)
    with running(Consumer(shandong, first, instance=name), first) as one:
        eventually(lambda: held(first) == 6, "the first holds all partitions")
        with running(Consumer(shandong, second, instance=name), second) as other:
            eventually(lambda: said(caplog) == 1, "one of them says so")
            eventually(lambda: held(first) == held(second) == 3, "they share them")
            records = [raw(event(f"{CASE}{n}")) for n in range(12)]
            for partition in range(6):
                send(shandong, downlink(SHANDONG), records[2 * partition :][:2], partition)
            eventually(lambda: count(shandong, "case_event") == 12, "all of it is applied")
            assert one == other == []
    assert said(caplog) == 1


def held(metrics: Metrics) -> int:
    """Count the partitions that the consumer shows as its own."""
    numbers = range(6)
    name = "petitionlink_consumer_applied_offset"
    labels = [{"topic": downlink(SHANDONG), "partition": str(number)} for number in numbers]
    return sum(metrics.registry.get_sample_value(name, one) is not None for one in labels)


def said(caplog: pytest.LogCaptureFixture) -> int:
    lines = [one for one in caplog.records if "another living process consumes" in one.message]
    assert all(one.levelno == logging.ERROR for one in lines)
    return len(lines)


def test_clones_of_one_disk_have_names_of_their_own_because_each_was_booted_by_itself(
    tmp_path: Path,
) -> None:
    boot = tmp_path / "boot_id"
    boot.write_text("0a1b2c3d-0000-4000-8000-000000000000\n")
    ours = instance_of(SHANDONG, "desk", 9464, boot)
    assert ours == instance_of(SHANDONG, "desk", 9464, boot) == "370000-desk-9464-0a1b2c3d"
    boot.write_text("99999999-0000-4000-8000-000000000000\n")
    assert instance_of(SHANDONG, "desk", 9464, boot) != ours
    boot.unlink()
    assert instance_of(SHANDONG, "desk", 9464, boot) != instance_of(SHANDONG, "desk", 9464, boot)


def test_a_name_that_is_taken_again_and_again_does_not_grow() -> None:
    again = renamed(renamed("370000-desk-9464-0a1b2c3d"))
    assert len(again) == len("370000-desk-9464-0a1b2c3d") + 9
    assert instance_of(SHANDONG, "主机 a", 9464).startswith("370000-___a-9464-")
    assert sample(Metrics(), "nothing") == 0
