"""Export cases 登记簿导出 as rows of a register, which an import can read again."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from node.keys.office import Office
from node.postgres.connection import Connection
from node.queries.export import CaseSelection, count_cases, read_cases
from node.store import audit_log
from producers.register import Mapping
from producers.register.file_writers import new_register
from producers.register.row_writer import RowWriter, Told
from producers.register_export.case_to_row import case_to_row, petitioner_of

# Called with the number of rows written and their total.
Progress = Callable[[int, int], None]


@dataclass
class ExportTotals:
    """The numbers of exported rows: `whole` ones hold all of their case, `partial` ones not all.

    `petitioners` were opened; `unreadable` ones are not sealed for this node.
    """

    exported: int = 0
    whole: int = 0
    partial: int = 0
    petitioners: int = 0
    unreadable: int = 0


@dataclass(frozen=True)
class ExportRequest:
    """The cases to export, and whether with the petitioners 信访人."""

    selection: CaseSelection = field(default_factory=CaseSelection)
    petitioners: bool = False

    def shown(self) -> dict[str, Any]:
        """Return the request for the audit log."""
        return {"selection": self.selection.shown(), "with_petitioner": self.petitioners}


def export(
    connection: Connection,
    office: Office,
    request: ExportRequest,
    mapping: Mapping,
    path: Path,
    *,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> ExportTotals:
    """Write the register to `path`, where it appears only when all was written and audited.

    Memory does not grow with it. Raises `RegisterError` and errors of the driver.
    """
    totals = ExportTotals()
    writer = RowWriter(mapping, office.clock())
    with new_register(path, force=force, formula_guard=mapping.formula_guard) as sink:
        if request.petitioners:  # before anything is opened: a crash must not hide it
            _audit(connection, office, "export.begun", {"file": str(path.absolute())}, request)
        total = count_cases(connection, request.selection)
        sink.write([*writer.columns])
        for case in _rows(connection, office, request, totals):
            cells = [sink.clean(cell) for cell in writer.row(case)]
            sink.write(cells)
            totals.exported += 1
            totals.whole += writer.tells_all(case, cells)
            progress(totals.exported, total)
        totals.partial = totals.exported - totals.whole
        done = {"file": str(path.absolute()), **asdict(totals)}
        _audit(connection, office, "export", done, request)
    return totals


def _rows(
    connection: Connection, office: Office, request: ExportRequest, totals: ExportTotals
) -> Iterator[Told]:
    for case in read_cases(connection, request.selection):
        row = case_to_row(case)
        if request.petitioners:
            petitioner = petitioner_of(office, case)
            totals.petitioners += bool(petitioner)
            totals.unreadable += petitioner is None
            row.petitioner = petitioner or {}
        yield row


def _audit(
    connection: Connection,
    office: Office,
    action: str,
    detail: dict[str, Any],
    request: ExportRequest,
) -> None:
    with connection, connection.cursor() as cursor:
        audit_log.note(cursor, office.actor, action, {**detail, **request.shown()})
