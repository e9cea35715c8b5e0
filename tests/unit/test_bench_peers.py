"""The benchmark's peers: pinned, told, and counted without slowing what is counted."""

import re
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.peers import Peer, tables
from benchmarks.peers.python_peer import PythonPeer

FOLDER = Path(peers.__file__).parent
REQUIREMENTS = sorted(FOLDER.glob("scripts/*.txt"))


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.stem)
def test_every_package_of_a_peer_is_pinned_and_no_index_is_named(file: Path) -> None:
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[a-z0-9-]+(\[[a-z]+\])?==[0-9][0-9a-z.]*", line), line


def test_every_peer_tells_how_it_was_tuned_and_of_which_versions() -> None:
    assert len({peer.name for peer in peers.PEERS}) == len(peers.PEERS) == 4
    for peer in peers.PEERS:
        assert len(peer.about) > 80
        assert re.search(r"\d+\.\d+", peer.versions)
    assert "debezium-connector-jdbc 3." in peers.versions()
    assert "connect-runtime 4." in peers.versions()


def test_every_script_has_its_requirements() -> None:
    scripts = {one.script for one in _python_peers(peers.PEERS)}
    assert scripts == {file.stem for file in REQUIREMENTS}
    assert all((FOLDER / "scripts" / f"{script}.py").is_file() for script in scripts)


def test_a_whole_topic_is_counted_only_at_its_ends_a_part_at_every_look() -> None:
    ids = ["0197-a", "0197-b"]
    whole = tables.counter(60_000, ids)
    assert "'{0197-a,0197-b}'" in whole
    assert ")) = 2" in whole
    assert "least(60000 - 1" in whole
    assert tables.counter(10_000, []) == "select count(*) from event"


def _python_peers(several: tuple[Peer, ...]) -> list[PythonPeer]:
    return [one for one in several if isinstance(one, PythonPeer)]
