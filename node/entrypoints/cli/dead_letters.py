"""`petitionlink deadletters`: list, show, replay and discard dead letters."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from consumers.admin.replay import StillPoison, replay
from consumers.admin.resolve import discard
from node.entrypoints.cli.node_settings import NodeOption, node_database
from node.entrypoints.cli.output import Format, FormatOption, china_second, print_data, say, table
from node.entrypoints.cli.payload import known_headers, payload_as_data, payload_as_text
from node.postgres.connection import Connection
from node.queries import dead_letters
from node.queries.dead_letters import LetterSelection, Payload
from node.runtime.errors import PetitionLinkError
from node.runtime.settings import Settings
from node.store import audit_log
from schemas.errors import REASONS
from schemas.instants import now_micros

_SEEN = "deadletter.payload_seen"
_LAST_ID = 2**63 - 1
_FACTS = (
    *("topic", "partition", "offset", "reason", "detail", "recorded_at", "created_at"),
    *("key_size", "size", "status", "actor", "resolved_at", "resolution"),
)
_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"))

IdArgument = Annotated[int, typer.Argument(metavar="ID", min=1, max=_LAST_ID)]
IdsArgument = Annotated[list[int], typer.Argument(metavar="ID", min=1, max=_LAST_ID)]


class LetterStatus(StrEnum):
    """The dead letters that are listed, by status."""

    open = dead_letters.OPEN
    replayed = dead_letters.REPLAYED
    discarded = dead_letters.DISCARDED
    all = "all"


def _known_reason(value: str | None) -> str | None:
    if value is not None and value not in REASONS:
        raise typer.BadParameter(f"{value} is not a reason: choose from {', '.join(REASONS)}")
    return value


ReasonOption = Annotated[
    str | None,
    typer.Option(
        "--reason", metavar="CODE", callback=_known_reason, help="Only of this reason 原因."
    ),
]

app = typer.Typer(
    name="deadletters",
    no_args_is_help=True,
    help="Dead letters 死信: list, look, replay after a fix, discard. docs/dead-letters.md "
    "explains the reasons.",
)


@app.command("list")
def list_command(
    status: Annotated[LetterStatus, typer.Option(help="Which 状态.")] = LetterStatus.open,
    reason: ReasonOption = None,
    topic: Annotated[str | None, typer.Option(metavar="T", help="Only of this topic 主题.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most letters 条数.")] = 50,
    after: Annotated[
        int, typer.Option(metavar="ID", min=0, max=_LAST_ID, help="Begin after this letter 翻页.")
    ] = 0,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """List dead letters in the order of their arrival, without payload 死信清单."""
    selected = None if status is LetterStatus.all else status.value
    selection = LetterSelection(selected, reason, topic, after, limit)
    with (
        node_database(node, "deadletters") as (settings, connection),
        connection.cursor() as cursor,
    ):
        letters = dead_letters.letters(cursor, selection)
    more = letters[-1]["id"] if len(letters) == limit else None
    data = {"node": settings.node, "letters": letters, "next_after": more}
    print_data(data, output, lambda: _letter_table(settings.node, status, letters))
    if more is not None:
        say(f"there may be more: --after {more}")


def _letter_table(node: str, status: LetterStatus, letters: Iterable[dict[str, Any]]) -> Table:
    """Return two lines per letter, to fit into 80 columns; with the status if it can differ."""
    columns = ["id", "where 位置", "why 原因", "age", "size"]
    rows = [
        [
            letter["id"],
            f"{letter['topic']}\npartition {letter['partition']} offset {letter['offset']}",
            f"{letter['reason']}\n{letter['detail']}",
            *(_age(letter["age_seconds"]), letter["size"], letter["status"]),
        ]
        for letter in letters
    ]
    if status is LetterStatus.all:
        columns.append("status")
    shown = (row[: len(columns)] for row in rows)
    return table(f"dead letters 死信 of node {node}: {status}", columns, shown)


def _age(seconds: float) -> str:
    for unit, name in _AGES:
        if seconds >= unit:
            return f"{int(seconds // unit)} {name}"
    return f"{int(max(0.0, seconds))} s"


@app.command("show")
def show_command(
    letter: IdArgument,
    payload: Annotated[
        bool,
        typer.Option("--payload", help="Show the original bytes too 原始内容; audited."),
    ] = False,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Show one dead letter 死信详情, without its payload, which may hold personal data."""
    with node_database(node, "deadletters") as (settings, connection):
        data, content = _read(connection, settings, letter, with_payload=payload)
    data["headers"] = known_headers(data["headers"])
    if content is not None:
        data["payload"] = payload_as_data(content)
    print_data(data, output, lambda: _letter_tables(data))
    if content is not None and output is Format.table:
        for line in payload_as_text(content):
            typer.echo(line)


def _read(
    connection: Connection, settings: Settings, letter: int, *, with_payload: bool
) -> tuple[dict[str, Any], Payload | None]:
    """Read a letter; a look at its payload is audited before the payload is returned."""
    with connection, connection.cursor() as cursor:
        about = dead_letters.letter(cursor, letter)
    if not with_payload:
        return about, None
    with connection, connection.cursor() as cursor:
        content = dead_letters.payload(cursor, letter)
        place = {name: about[name] for name in ("id", "topic", "partition", "offset")}
        audit_log.note(cursor, settings.actor, _SEEN, place)
    return about, content


def _letter_tables(data: dict[str, Any]) -> Iterable[Table]:
    facts = [(name.replace("_", " "), _cell(data[name])) for name in _FACTS]
    facts[7:7] = [("age", _age(data["age_seconds"]))]
    yield table(f"dead letter 死信 {data['id']} (UTC+8)", ("", ""), facts)
    rows = [
        (header["name"], header.get("value", f"hidden 不显示, {header['size']} bytes"))
        for header in data["headers"]
    ]
    yield table("headers 消息头", ("name", "value"), rows)


def _cell(value: object) -> object:
    return china_second(value) if isinstance(value, datetime) else value


@app.command("replay")
def replay_command(
    letters: Annotated[
        list[int] | None, typer.Argument(metavar="ID", min=1, max=_LAST_ID, show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All open ones of a --reason 全部.")] = False,
    reason: ReasonOption = None,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Apply letters as if they came now, after the cause is repaired 重放. Audited.

    Each is applied in its own transaction. A letter that is still poison stays open; the exit code
    is 1 then. An event that is in the ledger already is a duplicate, and its letter is closed.
    """
    if every != bool(reason) or every == bool(letters):
        raise typer.BadParameter("name ID…, or --all with --reason CODE")

    def replay_letter(connection: Connection, settings: Settings, letter: int) -> dict[str, Any]:
        done = replay(connection, settings.node, letter, settings.actor, now_micros())
        return {"result": done.result, "event_id": done.event_id, "case_id": done.case_id}

    _for_each(node, "replayed", reason if every else letters, replay_letter, output)


@app.command("discard")
def discard_command(
    letters: IdsArgument,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why 废弃理由; without personal data.")
    ],
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Give letters up for good 废弃; their bytes are kept. Audited with the reason.

    Their events that were never applied are missing from then on: `petitionlink reconcile` names
    them, and their source sends them again without further commands.
    """
    why = " ".join(reason.split())
    if not why:
        raise typer.BadParameter("--reason is empty: say why nobody needs it")

    def discard_letter(connection: Connection, settings: Settings, letter: int) -> dict[str, Any]:
        discard(connection, letter, settings.actor, why)
        return {"result": "discarded"}

    _for_each(node, "discarded", letters, discard_letter, output)
    say(
        "events of these letters that this node lacks are sent again by their source within "
        "minutes: `petitionlink reconcile --with NODE` names them"
    )


Action = Callable[[Connection, Settings, int], dict[str, Any]]


def _for_each(
    node: str | None, what: str, which: Sequence[int] | str | None, act: Action, output: Format
) -> None:
    """Act on each letter, after a refused one too; then raise one line if any was refused.

    `which` has the ids of the letters, or the reason of all open ones.
    """
    with node_database(node, "deadletters") as (settings, connection):
        ids = _open_ids(connection, which) if isinstance(which, str) else dict.fromkeys(which or ())
        results = [_result(connection, settings, letter, act) for letter in ids]
    errors = [result["error"] for result in results if not result["ok"]]
    data = {
        "node": settings.node,
        what: len(results) - len(errors),
        "refused": len(errors),
        "results": results,
    }
    print_data(data, output, lambda: _result_table(what, results))
    if errors:
        more = f"; {len(errors) - 1} more were refused" if len(errors) > 1 else ""
        raise PetitionLinkError(f"{errors[0]}{more}")


def _open_ids(connection: Connection, reason: str) -> list[int]:
    with connection, connection.cursor() as cursor:
        return [*dead_letters.open_ids(cursor, reason)]


def _result(connection: Connection, settings: Settings, letter: int, act: Action) -> dict[str, Any]:
    try:
        return {"id": letter, "ok": True, **act(connection, settings, letter)}
    except PetitionLinkError as error:
        result = error.reason if isinstance(error, StillPoison) else "refused"
        return {"id": letter, "ok": False, "result": result, "error": str(error)}


def _result_table(what: str, results: Sequence[dict[str, Any]]) -> Table:
    names = {"id": "id", "result": "result", "case_id": "case", "error": "why not"}
    shown = [name for name in names if any(name in result for result in results)]
    rows = [[result.get(name) for name in shown] for result in results]
    return table(f"dead letters 死信 {what}", [names[name] for name in shown], rows)
