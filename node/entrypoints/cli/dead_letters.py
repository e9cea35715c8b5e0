"""`petitionlink deadletters`: what could not be applied, looked at and dealt with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from consumers.admin.replay import StillPoison, replay
from consumers.admin.resolve import discard
from node.entrypoints.cli.node_settings import settings_for
from node.entrypoints.cli.output import Format, FormatOption, NodeOption, print_data, say, table
from node.entrypoints.cli.payload import known_headers, payload_as_data, payload_as_text
from node.postgres.connection import Connection, own_connected
from node.queries import dead_letters
from node.queries.dead_letters import LetterSelection, Payload
from node.runtime.clock import now_micros
from node.runtime.errors import PetitionLinkError
from node.runtime.settings import Settings
from node.store import audit_log
from schemas.errors import REASONS
from schemas.instants import CHINA

_SEEN = "deadletter.payload_seen"
_LAST_ID = 2**63 - 1
_FACTS = (
    *("topic", "partition", "offset", "reason", "detail", "recorded_at", "created_at"),
    *("key_size", "size", "status", "actor", "resolved_at", "resolution"),
)
_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"))

IdArgument = Annotated[int, typer.Argument(metavar="ID", min=1, max=_LAST_ID)]
IdsArgument = Annotated[list[int], typer.Argument(metavar="ID", min=1, max=_LAST_ID)]


class Status(StrEnum):
    """Which letters are listed."""

    open = dead_letters.OPEN
    replayed = dead_letters.REPLAYED
    discarded = dead_letters.DISCARDED
    all = "all"


def _known_reason(value: str | None) -> str | None:
    if value is not None and value not in REASONS:
        raise typer.BadParameter(f"{value} is no reason: choose of {', '.join(REASONS)}")
    return value


ReasonOption = Annotated[
    str | None,
    typer.Option(
        "--reason", metavar="CODE", callback=_known_reason, help="Only of this reason 原因."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Dead letters 死信: list, look, replay after a fix, discard. docs/dead-letters.md "
        "explains the reasons.",
    )
    group.command("list")(list_command)
    group.command("show")(show_command)
    group.command("replay")(replay_command)
    group.command("discard")(discard_command)
    app.add_typer(group, name="deadletters")


def list_command(
    status: Annotated[Status, typer.Option(help="Which 状态.")] = Status.open,
    reason: ReasonOption = None,
    topic: Annotated[str | None, typer.Option(metavar="T", help="Only of this topic 主题.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many 条数.")] = 50,
    after: Annotated[
        int, typer.Option(metavar="ID", min=0, max=_LAST_ID, help="Go on behind this one 翻页.")
    ] = 0,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Dead letters in the order of their coming, without payload 死信清单."""
    settings = settings_for(node)
    wanted = LetterSelection(
        None if status is Status.all else status.value, reason, topic, after, limit
    )
    with (
        own_connected(settings, "deadletters") as connection,
        connection.cursor() as cursor,
    ):
        found = dead_letters.letters(cursor, wanted)
    more = found[-1]["id"] if len(found) == limit else None
    data = {"node": settings.node, "letters": found, "next_after": more}
    print_data(data, output, lambda: _listed(settings.node, status, found))
    if more is not None:
        say(f"there may be more: --after {more}")


def _listed(node: str, status: Status, found: Iterable[dict[str, Any]]) -> Table:
    """Two lines a letter, so that eighty columns are enough; the status where it differs."""
    columns = ["id", "where 位置", "why 原因", "age", "size"]
    rows = [
        [
            one["id"],
            f"{one['topic']}\npartition {one['partition']} offset {one['offset']}",
            f"{one['reason']}\n{one['detail']}",
            *(_age(one["age_seconds"]), one["size"], one["status"]),
        ]
        for one in found
    ]
    if status is Status.all:
        columns.append("status")
    shown = (row[: len(columns)] for row in rows)
    return table(f"dead letters 死信 of node {node}: {status}", columns, shown)


def _age(seconds: float) -> str:
    for unit, name in _AGES:
        if seconds >= unit:
            return f"{int(seconds // unit)} {name}"
    return f"{int(max(0.0, seconds))} s"


def show_command(
    letter: IdArgument,
    payload: Annotated[
        bool,
        typer.Option("--payload", help="The original bytes too 原始内容; each look is audited."),
    ] = False,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """All about one dead letter; not its payload, which may hold personal data 死信详情."""
    settings = settings_for(node)
    with own_connected(settings, "deadletters") as connection:
        about, content = _looked_up(connection, settings, letter, with_payload=payload)
    headers = about.pop("headers")
    data = {**about, "headers": known_headers(headers)}
    if content is not None:
        data["payload"] = payload_as_data(content)
    print_data(data, output, lambda: _shown(data))
    if content is not None and output is Format.table:
        for line in payload_as_text(content):
            typer.echo(line)


def _looked_up(
    connection: Connection, settings: Settings, letter: int, *, with_payload: bool
) -> tuple[dict[str, Any], Payload | None]:
    """What is known; a look at the payload is on record before anybody has it."""
    with connection, connection.cursor() as cursor:
        about = dead_letters.letter(cursor, letter)
    if not with_payload:
        return about, None
    with connection, connection.cursor() as cursor:
        content = dead_letters.payload(cursor, letter)
        place = {name: about[name] for name in ("id", "topic", "partition", "offset")}
        audit_log.note(cursor, settings.actor, _SEEN, place)
    return about, content


def _shown(data: dict[str, Any]) -> Iterable[Table]:
    facts = [(name.replace("_", " "), _cell(data[name])) for name in _FACTS]
    facts[7:7] = [("age", _age(data["age_seconds"]))]
    yield table(f"dead letter 死信 {data['id']} (UTC+8)", ("", ""), facts)
    rows = [
        (one["name"], one.get("value", f"hidden 不显示, {one['size']} bytes"))
        for one in data["headers"]
    ]
    yield table("headers 消息头", ("name", "value"), rows)


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")
    return value


def replay_command(
    letters: Annotated[
        list[int] | None, typer.Argument(metavar="ID", min=1, max=_LAST_ID, show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All open ones of a --reason 全部.")] = False,
    reason: ReasonOption = None,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Take letters in as if they came now, after what was wrong is mended 重放. Audited.

    Each in a transaction of its own. One that is still poison stays open; exit code 1 then. An
    event that is in the ledger already is a duplicate, and its letter is done with.
    """
    if every != bool(reason) or every == bool(letters):
        raise typer.BadParameter("name ID…, or --all with --reason CODE")
    settings = settings_for(node)

    def one(connection: Connection, number: int) -> dict[str, Any]:
        done = replay(connection, settings.node, number, settings.actor, now_micros())
        return {"result": done.result, "event_id": done.event_id, "case_id": done.case_id}

    _deal(settings, "replayed", reason if every else letters, one, output)


def discard_command(
    letters: IdsArgument,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why 废弃理由; without personal data.")
    ],
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Give letters up for good 废弃; their bytes are kept. Audited with the reason.

    What nobody applied of them is missing from then on: `petitionlink reconcile` names the events,
    and their source sends them again without further commands.
    """
    why = " ".join(reason.split())
    if not why:
        raise typer.BadParameter("--reason is empty: say why nobody needs it")
    settings = settings_for(node)

    def one(connection: Connection, number: int) -> dict[str, Any]:
        discard(connection, number, settings.actor, why)
        return {"result": "discarded"}

    _deal(settings, "discarded", letters, one, output)
    say(
        "events of these letters that this node lacks are sent again by their source within "
        "minutes: `petitionlink reconcile --with NODE` names them"
    )


Deal = Callable[[Connection, int], dict[str, Any]]


def _deal(
    settings: Settings, what: str, which: Sequence[int] | str | None, deal: Deal, output: Format
) -> None:
    """One after the other, a refused one stops no other; then one line if any was refused."""
    with own_connected(settings, "deadletters") as connection:
        results = [_dealt(connection, number, deal) for number in _numbers(connection, which)]
    refused = [one for one in results if not one["ok"]]
    data = {
        "node": settings.node,
        what: len(results) - len(refused),
        "refused": len(refused),
        "results": results,
    }
    print_data(data, output, lambda: _results(what, results))
    if refused:
        more = f"; {len(refused) - 1} more were refused" if len(refused) > 1 else ""
        raise PetitionLinkError(f"{refused[0]['error']}{more}")


def _numbers(connection: Connection, which: Sequence[int] | str | None) -> Iterable[int]:
    if isinstance(which, str):
        with connection, connection.cursor() as cursor:
            return [*dead_letters.open_ids(cursor, which)]
    return dict.fromkeys(which or ())


def _dealt(connection: Connection, number: int, deal: Deal) -> dict[str, Any]:
    try:
        return {"id": number, "ok": True, **deal(connection, number)}
    except StillPoison as error:
        return {"id": number, "ok": False, "result": error.reason, "error": str(error)}
    except PetitionLinkError as error:
        return {"id": number, "ok": False, "result": "refused", "error": str(error)}


def _results(what: str, results: Sequence[dict[str, Any]]) -> Table:
    names = {"id": "id", "result": "result", "case_id": "case", "error": "why not"}
    shown = [name for name in names if any(name in one for one in results)]
    rows = [[one.get(name) for name in shown] for one in results]
    return table(f"dead letters 死信 {what}", [names[name] for name in shown], rows)
