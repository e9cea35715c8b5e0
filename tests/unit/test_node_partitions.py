"""The partition of a key: the same as the library's, which is the same as every other client's."""

from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kafka.partitioner.default import DefaultPartitioner

from node.kafka.partitioner import KeyPartitioner, hash_of_key

# Of the Java client's own tests (UtilsTest.testMurmur2), as unsigned.
_KNOWN = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


class Cluster(SimpleNamespace):
    """The part of the metadata that a partitioner asks for."""

    def topics(self) -> set[str]:
        return {"topic"}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(self.numbers)

    available_partitions_for_topic = partitions_for_topic


@pytest.mark.parametrize(("key", "value"), _KNOWN.items())
def test_known_hashes(key: bytes, value: int) -> None:
    assert hash_of_key(key) == value & 0xFFFFFFFF


@given(st.binary(max_size=40), st.sets(st.integers(0, 50), min_size=1))
@example(b"", {0})
@example(b"\xff\xff\xff\xff\xff\xff\xff", {0, 1, 2, 3, 4, 5})
def test_every_key_gets_the_partition_that_the_library_gives(key: bytes, numbers: set[int]) -> None:
    cluster = Cluster(numbers=numbers)
    expected = DefaultPartitioner().partition("topic", key, key, b"", b"", cluster)
    assert KeyPartitioner().partition("topic", key, key, b"", b"", cluster) == expected


def test_without_a_key_any_partition_will_do() -> None:
    cluster = Cluster(numbers={3, 4})
    assert KeyPartitioner().partition("topic", None, None, b"", b"", cluster) in {3, 4}
