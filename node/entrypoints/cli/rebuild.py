"""`petitionlink rebuild`: make the projections again from the ledger, while the node runs."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.table import Table

from node.entrypoints.cli.node_settings import NodeOption, settings_for
from node.entrypoints.cli.output import Format, FormatOption, print_data, say, table
from node.entrypoints.cli.progress import counting
from node.rebuild.run import Rebuilt, rebuild

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Compare only 只比较; exit code 1 if something differs.")
]
AcceptOption = Annotated[
    bool, typer.Option("--accept-loss", help="Swap in what is left of a damaged ledger 接受缺失.")
]
_MEANINGS = {
    "differing": "differing 不一致",
    "missing": "missing 缺失",
    "superfluous": "superfluous 多余",
}

app = typer.Typer()


@app.command("rebuild")
def rebuild_command(
    dry_run: DryRunOption = False,
    accept_loss: AcceptOption = False,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Rebuild cases, deadlines, evaluations and supervisions from the ledger 重建投影.

    They are folded from the bytes into shadow tables while the node runs, compared, and swapped in
    by one transaction. Differences are named, repaired by the swap, and audited. A ledger that has
    lost or damaged events is not swapped in.
    """
    settings = settings_for(node)
    with counting("cases") as moved:
        done = rebuild(settings, moved, dry_run=dry_run, accept_loss=accept_loss)
    if done.differs:
        then = "mended by the swap" if done.swapped else "run it without --dry-run to mend them"
        say(f"the projections were not what the ledger gives: {then}")
    print_data(done.as_json(), output, lambda: _tables(done))
    if done.damaged_count:
        say(
            f"the ledger has lost or damaged events of {done.damaged_count} cases: run "
            "`petitionlink verify`, which heals them from peers"
        )
    if dry_run and (done.differs or done.damaged_count):
        raise typer.Exit(1)


def _tables(done: Rebuilt) -> Iterator[Table]:
    columns = ("cases", "events", *_MEANINGS.values(), "seconds", "swapped")
    counts = (done.differences.counts[kind] for kind in _MEANINGS)
    row = (done.cases, done.events, *counts, f"{done.seconds:.1f}", "yes" if done.swapped else "no")
    yield table("rebuild 重建", columns, [row])
    named = [
        (meaning, case_id)
        for kind, meaning in _MEANINGS.items()
        for case_id in done.differences.names[kind]
    ]
    if named:
        yield table("live tables before 重建前", ("", "case"), named)
