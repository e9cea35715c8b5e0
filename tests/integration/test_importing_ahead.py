"""The whole command, with the process that prepares rows: known rows, a lost helper, Ctrl-C."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from support.cli import PROGRAM, as_environment, environment, petitionlink
from support.world import count, eventually, rows

from node.postgres.connection import connect
from node.runtime.settings import Settings
from producers.register_import.prepare_rows import CHUNK_ROWS

# Some work is left when the first chunks are written.
_MANY = 40 * CHUNK_ROWS
_INTERRUPTED = 130


def line(number: int | str, title: str = "供暖不足") -> str:
    return f"{number},网上,2024-01-08,{title},张示例"


def register(folder: Path, lines: list[str]) -> Path:
    path = folder / "register.csv"
    header = "登记编号,信访形式,信访日期,标题,姓名"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


@contextmanager
def held_up(settings: Settings) -> Iterator[None]:
    """No chunk is written inside, so that what is done to the import comes in its middle."""
    with closing(connect(settings.dsn, "test")) as other, other.cursor() as cursor:
        cursor.execute("lock table imported_row in access exclusive mode")
        yield


@contextmanager
def importing(settings: Settings, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command in a group of its own, as under a shell, until some chunks are written."""
    process = subprocess.Popen(
        [PROGRAM, "import", path],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment() | as_environment(settings),
        start_new_session=True,
    )
    try:
        eventually(lambda: count(settings, "imported_row") > 0, "the first chunk is written")
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stderr
        process.stderr.close()


def helper_of(process: subprocess.Popen[bytes]) -> int:
    (helper,) = (
        int(status.parent.name)
        for status in Path("/proc").glob("[0-9]*/status")
        if f"\nPPid:\t{process.pid}\n" in text_of(status)
    )
    return helper


def text_of(status: Path) -> str:
    try:
        return status.read_text()
    except OSError:  # gone meanwhile
        return ""


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def assert_whole_chunks(settings: Settings) -> None:
    """Chunks are whole or absent, everything of them is there, and not all of them."""
    registered = count(settings, "imported_row")
    assert 0 < registered < _MANY
    assert registered % CHUNK_ROWS == 0
    for table in ("petition_case", "case_event", "outbox", "case_digest"):
        assert count(settings, table) == registered
    assert rows(settings, "select sum(committed) from flow_change") == [(registered,)]


def test_a_row_of_an_earlier_chunk_is_known_to_a_later_one(
    shandong: Settings, tmp_path: Path
) -> None:
    first = [line(number) for number in range(CHUNK_ROWS)]
    later = [line(number) for number in range(CHUNK_ROWS, 2 * CHUNK_ROWS - 3)]
    again = [line(7), line(8, "停水"), line("新"), line("新"), line("新", "停水")]
    path = register(tmp_path, [*first, *later, *again])
    done = petitionlink("import", path, "--format", "json", settings=as_environment(shandong))
    assert done.json() == {
        "read": 2 * CHUNK_ROWS + 2,
        "registered": 2 * CHUNK_ROWS - 2,
        "duplicates": 2,
        "rejected": 2,
        "events": 2 * CHUNK_ROWS - 2,
    }
    rejects = next(tmp_path.glob("*reject*")).read_text(encoding="utf-8-sig").splitlines()[1:]
    # In the order of the rows: number 8 of the first chunk, then the new one of this.
    assert [one.split(",")[0] for one in rejects] == [
        str(2 * CHUNK_ROWS - 1),
        str(2 * CHUNK_ROWS + 2),
    ]
    assert "number 8 is already registered" in rejects[0]
    assert count(shandong, "petition_case") == 2 * CHUNK_ROWS - 2


def test_cases_are_numbered_in_the_order_of_the_rows(shandong: Settings, tmp_path: Path) -> None:
    numbers = [*range(3 * CHUNK_ROWS)]
    path = register(tmp_path, [line(number) for number in numbers])
    petitionlink("import", path, "--format", "json", settings=as_environment(shandong)).json()
    found = rows(
        shandong,
        "select body ->> 'origin_number' from case_event order by feed_id",
    )
    assert [int(number) for (number,) in found] == numbers


def test_a_lost_helper_is_one_line_and_nothing_half(shandong: Settings, tmp_path: Path) -> None:
    path = register(tmp_path, [line(number) for number in range(_MANY)])
    with importing(shandong, path) as process:
        with held_up(shandong):
            os.kill(helper_of(process), signal.SIGKILL)
        _, said = process.communicate()
        assert process.returncode == 1
    (told,) = [one for one in said.decode().splitlines() if one.strip()]
    assert told.startswith("error: the process that reads and prepares ended too early (signal 9)")
    assert_whole_chunks(shandong)
    done = petitionlink("import", path, "--format", "json", settings=as_environment(shandong))
    assert done.json()["registered"] + done.json()["duplicates"] == _MANY
    assert count(shandong, "petition_case") == _MANY


def test_ctrl_c_ends_both_and_leaves_whole_chunks(shandong: Settings, tmp_path: Path) -> None:
    path = register(tmp_path, [line(number) for number in range(_MANY)])
    with importing(shandong, path) as process:
        with held_up(shandong):
            helper = helper_of(process)
            os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate()
        assert process.returncode == _INTERRUPTED, said
    assert said.decode().strip().splitlines()[-1] == "interrupted"
    assert "Traceback" not in said.decode()
    assert is_gone(helper)
    assert_whole_chunks(shandong)


def test_a_killed_import_leaves_no_helper_after(shandong: Settings, tmp_path: Path) -> None:
    path = register(tmp_path, [line(number) for number in range(_MANY)])
    with importing(shandong, path) as process:
        with held_up(shandong):
            helper = helper_of(process)
            process.kill()
        eventually(lambda: is_gone(helper), "the helper is gone")
    assert_whole_chunks(shandong)
