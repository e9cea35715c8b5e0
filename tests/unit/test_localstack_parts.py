"""The small parts of the local stack: ports, lock, programs, folders, log lines."""

import os
import pwd
import socket
import threading
from pathlib import Path

import pytest
from support.world import WAIT_SECONDS

from node.localstack import account, binaries, folder, ports
from node.localstack.process import last_lines
from node.runtime.errors import PetitionLinkError


def test_a_port_on_which_somebody_listens_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not ports.is_free(port)
        assert ports.listens("127.0.0.1", port)
    assert ports.is_free(port)
    assert not ports.listens("127.0.0.1", port)


@pytest.fixture
def turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of this test's own for whose turn it is."""
    monkeypatch.setattr(ports, "turn_file", lambda: tmp_path / "turns")
    return tmp_path / "turns"


def test_a_promised_port_is_not_given_again(turns: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns.write_text("31997")
    monkeypatch.setattr(ports, "is_free", lambda port: port != 31_998)
    assert ports.free_port() == 31_999
    assert ports.free_port({20_000}) == 20_001  # past the last comes the first


def test_ports_that_nobody_listens_on_yet_come_to_no_second_stack(turns: Path) -> None:
    """Seen failing when each began to look at a random place."""
    given: list[int] = []
    many = range(300)
    stacks = [
        threading.Thread(target=lambda: given.extend(ports.free_port() for _ in many))
        for _ in range(3)
    ]
    for stack in stacks:
        stack.start()
    for stack in stacks:
        stack.join()
    assert len(set(given)) == len(given) == 3 * len(many)


@pytest.mark.parametrize("noted", ["", "no port", "80", "99999999"])
def test_a_file_of_turns_that_says_nothing_is_begun_again(turns: Path, noted: str) -> None:
    turns.write_text(noted)
    given = ports.free_port()
    assert 20_000 <= given < 32_000
    assert turns.read_text() == str(given)


def test_a_link_is_not_followed(turns: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    turns.symlink_to(precious)
    assert ports.is_free(ports.free_port())
    assert precious.read_text() == "kept"


def test_where_there_can_be_no_file_of_turns_a_port_is_given_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "turn_file", lambda: tmp_path / "away" / "turns")
    assert ports.is_free(ports.free_port())


def test_no_free_port_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda port: False)
    with pytest.raises(PetitionLinkError, match=r"no free port between 20000 and 32000"):
        ports.free_port()


def test_a_second_command_waits_for_the_first(tmp_path: Path) -> None:
    said: list[str] = []
    order: list[str] = []
    waits = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        waits.set()

    def second() -> None:
        with folder.locked(tmp_path, say):
            order.append("second")

    thread = threading.Thread(target=second)
    with folder.locked(tmp_path, said.append):
        thread.start()
        assert waits.wait(WAIT_SECONDS)
        order.append("first")
    thread.join(WAIT_SECONDS)
    assert order == ["first", "second"]
    assert said == ["another stack command is at work: waiting for it"]


def test_a_command_that_never_ends_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_LOCK_LIMIT_SECONDS", 0.1)
    with (
        folder.locked(tmp_path, print),
        pytest.raises(PetitionLinkError, match=r"stack\.lock"),
        folder.locked(tmp_path, print),
    ):
        pass


def test_a_server_that_is_not_kafka_does_not_count_as_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            link, _ = server.accept()
            with link:
                link.recv(100)
                link.sendall(b"HTTP/1.0 400 Bad Request\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert not ports.kafka_answers("127.0.0.1", port)
        thread.join(WAIT_SECONDS)
    assert not ports.any_kafka_answers(f"127.0.0.1:{port},nonsense")


def test_the_last_lines_of_what_there_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\ntwo\n\xff three\n")
    shown = last_lines([log, tmp_path / "missing"], count=2)
    assert shown == f"last lines of {log}:\n  two\n  \ufffd three"


def fake_programs(folder: Path, version: int) -> Path:
    folder.mkdir(parents=True)
    for name in ("initdb", "pg_ctl", "postgres"):
        (folder / name).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}.1'\n")
        (folder / name).chmod(0o755)
    return folder


def test_programs_of_the_version_of_the_data_are_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_programs(tmp_path / "9" / "bin", 9)
    newer, older = (fake_programs(tmp_path / f"{n}" / "bin", n) for n in (17, 16))
    monkeypatch.setattr(binaries, "_DEBIAN", tmp_path)
    monkeypatch.setattr(binaries, "_WHEEL", "no_such_wheel")
    monkeypatch.setenv("PATH", "/nowhere")
    assert binaries.binary_folder() == newer  # by number, not by letter
    assert binaries.binary_folder("16") == older
    with pytest.raises(PetitionLinkError, match=r"data are of Postgres 12, but 17 is installed"):
        binaries.binary_folder("12")
    monkeypatch.setenv("PATH", f"{older}:/usr/bin:/bin")
    assert binaries.binary_folder() == older


def test_missing_programs_name_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_DEBIAN", tmp_path)
    monkeypatch.setattr(binaries, "_WHEEL", "no_such_wheel")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(PetitionLinkError, match="run `make setup`"):
        binaries.binary_folder()
    with pytest.raises(PetitionLinkError, match="run `make setup`"):
        binaries.java_program()
    monkeypatch.setattr(binaries, "PROJECT", tmp_path)
    with pytest.raises(PetitionLinkError, match=r"Kafka's jars are missing.*make setup"):
        binaries.jar_folder(tmp_path)


def test_an_old_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(PetitionLinkError, match="older than Java 17"):
        binaries.java_program()


def test_the_servers_folder_is_private_and_its_users_own(tmp_path: Path) -> None:
    # Under pytest's folder, which only its owner may enter: root's server must live elsewhere.
    home = account.server_folder(tmp_path)
    try:
        inside, elsewhere = account.possible_folders(tmp_path)
        assert home == (elsewhere if os.geteuid() == 0 else inside)
        assert home.stat().st_mode & 0o777 == 0o700
        owner = account.server_account() or pwd.getpwuid(os.geteuid())
        assert home.stat().st_uid == owner.pw_uid
        assert account.server_folder(tmp_path) == home
    finally:
        home.rmdir()


def test_a_servers_folder_that_another_laid_out_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "_ELSEWHERE", tmp_path)
    for place in account.possible_folders(tmp_path):
        place.symlink_to(Path("/tmp"))
    with pytest.raises(PetitionLinkError, match="belongs to another user"):
        account.server_folder(tmp_path)
