"""The load of the soak: desks at every node that move cases on, whatever is broken."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from soak.world import World
from support.cli import petitionlink
from support.registers import make_register
from support.streams import import_arguments

from cases.errors import Refusal
from cases.nodes import NATIONAL
from node.keys.office import Office, open_office
from node.postgres.connection import Connection, connect
from node.runtime.errors import Transient
from node.runtime.settings import Settings
from producers.commands.handle import OutcomeUnknown, handle
from producers.commands.parse import parse

_PAUSE_SECONDS = 0.25
_REGISTER_ROWS = 60
_IMPORT_EVERY_SECONDS = 15.0
_ONE_IN_THREE = 3
_TITLES = ("供暖不足", "欠薪", "道路积水", "噪声扰民", "退休待遇")
# One random case of this node's that stands in a state in which its office can go on.
_PICK = """
    select case_id, state, registered_by from petition_case
    where state = any(%(states)s) and (handled_by = %(node)s or %(anyone)s)
        and not incomplete and registered_at > now() - interval '1 day'
    order by random() limit 1
"""
_NEXT: dict[str, tuple[str, dict[str, Any]]] = {
    "assigned": ("land", {"unit": "某局"}),
    "landed": ("accept", {}),
    "accepted": ("decide", {"outcome": "explained", "opinion": "已核实"}),
    "decided": ("serve", {"method": "online"}),
    "served": ("close", {"note": "已办结"}),
}


class Work(threading.Thread):
    """The load that runs beside the faults until it is finished."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._end = threading.Event()

    def finish(self) -> None:
        """End after what is in hand."""
        self._end.set()
        self.join()


class Desk(Work):
    """One office at work: registers, assigns, handles; counts what became of its commands."""

    def __init__(self, world: World, settings: Settings, seed: str) -> None:
        super().__init__()
        self._world = world
        self._settings = settings
        self._chance = random.Random(seed)
        self.counts: Counter[str] = Counter()

    def run(self) -> None:
        office = open_office(self._settings)
        while not self._end.wait(_PAUSE_SECONDS):
            try:
                with closing(connect(self._settings.dsn, "soak-desk")) as connection:
                    self._work(connection, office)
            except (Transient, psycopg2.Error):
                self.counts["database away"] += 1

    def _work(self, connection: Connection, office: Office) -> None:
        while not self._end.wait(_PAUSE_SECONDS * self._chance.random()):
            try:
                self._one(connection, office)
                self.counts["done"] += 1
            except OutcomeUnknown:
                self.counts["outcome unknown"] += 1
                return
            except Refusal:
                self.counts["refused"] += 1

    def _one(self, connection: Connection, office: Office) -> None:
        given = self._next(connection, office) or self._registration()
        handle(connection, office, parse(given, office))

    def _registration(self) -> dict[str, Any]:
        given: dict[str, Any] = {
            "command": "register",
            "title": self._chance.choice(_TITLES),
            "channel": "web",
        }
        if self._chance.random() < 1 / _ONE_IN_THREE:
            number = f"SOAK{self._chance.randrange(10**9):09d}"
            given["petitioner"] = {"name": "张示例", "id_type": "resident_id", "id_number": number}
        return given

    def _next(self, connection: Connection, office: Office) -> dict[str, Any] | None:
        """Return the next step of some case; now and then a new one instead."""
        if self._chance.random() < 1 / _ONE_IN_THREE:
            return None
        is_centre = office.node == NATIONAL
        states = ["registered"] if is_centre else [*_NEXT]
        with connection, connection.cursor() as cursor:
            cursor.execute(_PICK, {"states": states, "node": office.node, "anyone": is_centre})
            row = cursor.fetchone()
        if row is None:
            return None
        case_id, state, registered_by = row
        if is_centre:
            others = [one for one in self._world.nodes if one not in (NATIONAL, registered_by)]
            to = self._chance.choice(others or self._world.nodes[1:])
            return {"command": "assign", "case_id": case_id, "to": to, "requirement": "请办理"}
        name, fields = _NEXT[state]
        return {"command": name, "case_id": case_id, **fields}


class Importer(Work):
    """Imports a small register at a node now and then, again until it went through."""

    def __init__(self, world: World, folder: Path, seed: str) -> None:
        super().__init__()
        self._world = world
        self._folder = folder
        self._chance = random.Random(seed)
        self._seed = seed
        self.rows = 0

    def run(self) -> None:
        number = 0
        while not self._end.wait(_IMPORT_EVERY_SECONDS * self._chance.random()):
            number += 1
            node = self._chance.choice(self._world.nodes[1:])
            self.take(node, f"{self._seed}-{number}-", _REGISTER_ROWS)

    def take(self, node: str, prefix: str, rows: int) -> None:
        """Import one register; after a failure repeat the command, which adds what is missing."""
        made = make_register(self._folder / f"{prefix}{node}.csv", rows, prefix=prefix)
        arguments = import_arguments(node, made, self._folder)
        while petitionlink(*arguments, seconds=300).code != 0 and not self._end.wait(1.0):
            """The database is away: later."""
        self.rows += rows


@contextmanager
def loaded(world: World, folder: Path, seed: str) -> Iterator[tuple[list[Desk], Importer]]:
    """Run a desk at every node and an importer inside the block; end them after it."""
    desks = [Desk(world, settings, f"{seed}-{node}") for node, settings in world.direct.items()]
    importer = Importer(world, folder, seed)
    works: list[Work] = [*desks, importer]
    for work in works:
        work.start()
    try:
        yield desks, importer
    finally:
        for work in works:
            work.finish()
