"""The declared topics: names by rule, values by layer, mistakes in one line."""

from pathlib import Path

import pytest

from cases.nodes import NODES
from node.kafka.topics.declared import Topic, declared_topics
from node.runtime.errors import PetitionLinkError

WHOLE = "[default]\npartitions = 2\nreplication_factor = 3\n"


@pytest.fixture
def topics_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "topics.toml"
    monkeypatch.setenv("PETITIONLINK_TOPICS_FILE", str(path))
    return path


def by_name(nodes: list[str], *, local: bool) -> dict[str, Topic]:
    return {topic.name: topic for topic in declared_topics(nodes, local=local)}


def test_every_node_has_its_topics_and_no_other() -> None:
    names = list(by_name(list(NODES), local=False))
    # 32 provinces with uplink, downlink, two controls and dead letters; the centre with dead
    # letters and the topic of its own.
    assert len(names) == 32 * 5 + 2
    assert "petition.own.000000" in names
    assert "petition.deadletter.000000" in names
    assert "petition.uplink.000000" not in names


def test_the_shipped_declaration_is_that_of_the_contract() -> None:
    topic = by_name(["370000"], local=False)["petition.uplink.370000"]
    assert (topic.partitions, topic.replication_factor) == (6, 3)
    assert topic.settings["min.insync.replicas"] == "2"
    assert topic.settings["retention.ms"] == str(30 * 24 * 3600 * 1000)
    assert topic.settings["compression.type"] == "producer"


def test_a_local_stack_has_one_replica_and_is_otherwise_the_same() -> None:
    whole = by_name(["370000"], local=False)["petition.uplink.370000"]
    local = by_name(["370000"], local=True)["petition.uplink.370000"]
    assert (local.partitions, local.replication_factor) == (6, 1)
    assert local.settings == {**whole.settings, "min.insync.replicas": "1"}


def test_a_dead_letter_may_be_larger_than_the_record_it_holds() -> None:
    topics = by_name(["370000"], local=False)
    limits = {name: int(topic.settings["max.message.bytes"]) for name, topic in topics.items()}
    assert limits["petition.deadletter.370000"] > limits["petition.uplink.370000"]
    # The centre forwards byte for byte: what one takes, the other must take.
    assert limits["petition.downlink.370000"] == limits["petition.uplink.370000"]


def test_a_family_overrides_the_default_and_local_overrides_both(topics_file: Path) -> None:
    topics_file.write_text(
        WHOLE + "[default.settings]\na = 1\nb = 1\nc = true\n"
        "[uplink]\npartitions = 4\n[uplink.settings]\nb = 2\nd = 2\n"
        '[local.settings]\nd = "3"\n'
    )
    topics = by_name(["110000"], local=True)
    assert topics["petition.uplink.110000"].partitions == 4
    assert topics["petition.uplink.110000"].settings == {"a": "1", "b": "2", "c": "true", "d": "3"}
    assert topics["petition.downlink.110000"].partitions == 2
    assert topics["petition.downlink.110000"].settings == {
        "a": "1", "b": "1", "c": "true", "d": "3",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[default]\nreplication_factor = 1\n",
            r"topics\.toml: default\.partitions: Field required",
        ),
        (WHOLE + "[default.setting]\na = 1\n", r"topics\.toml: default\.setting: Extra inputs"),
        (WHOLE.replace("2", "0"), r"default\.partitions: Input should be greater"),
        ("partitions", r"topics\.toml cannot be read: "),
    ],
)
def test_a_mistake_names_the_file_and_the_place(topics_file: Path, text: str, message: str) -> None:
    topics_file.write_text(text)
    with pytest.raises(PetitionLinkError, match=message):
        declared_topics(["110000"], local=False)


def test_a_missing_file_names_the_setting(topics_file: Path) -> None:
    with pytest.raises(PetitionLinkError, match="PETITIONLINK_TOPICS_FILE"):
        declared_topics(["110000"], local=False)


def test_an_unknown_node_is_refused() -> None:
    with pytest.raises(PetitionLinkError, match="node '999999' is unknown"):
        declared_topics(["999999"], local=False)


def test_nothing_is_ever_deleted_from_the_centres_own_topic() -> None:
    settings = by_name(["000000"], local=False)["petition.own.000000"].settings
    assert (settings["retention.ms"], settings["retention.bytes"]) == ("-1", "-1")
    assert settings["cleanup.policy"] == "delete"
