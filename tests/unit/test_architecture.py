"""Imports go one way: schemas ← cases ← node ← producers | consumers ← node.web ← node.cli."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "cases", "node", "producers", "consumers")
MAY_IMPORT = {
    "schemas": {"schemas"},
    "cases": {"cases", "schemas"},
    "node": {"node", "cases", "schemas"},
    "producers": {"producers", "node", "cases", "schemas"},
    "consumers": {"consumers", "node", "cases", "schemas"},
    "node.web": set(PACKAGES),
    "node.cli": set(PACKAGES),
}
# Rules that keep a library in one place.
ONLY_IN = {
    "fastavro": {"schemas"},
    "typer": {"node.cli"},
    "rich": {"node.cli"},
    "fastapi": {"node.web"},
    "starlette": {"node.web"},
    "uvicorn": {"node.web"},
    "jinja2": {"node.web"},
    "chinese_calendar": {"cases"},
    "cryptography": {"schemas", "node"},
}


def place_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return ".".join(parts[:2]) if parts[:2] in (("node", "cli"), ("node", "web")) else parts[0]


def imports(path: Path) -> Iterator[str]:
    for found in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(found, ast.Import):
            yield from (alias.name for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            yield found.module or ""
            yield from (f"{found.module}.{alias.name}" for alias in found.names)


def every_import() -> Iterator[tuple[Path, str]]:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(files) > 50
    return ((path, name) for path in files for name in imports(path))


def test_packages_import_in_one_direction_only() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, name in every_import()
        if name.split(".")[0] in PACKAGES and name.split(".")[0] not in MAY_IMPORT[place_of(path)]
    ]
    assert wrong == []


def test_only_the_composition_root_imports_the_web_service() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, name in every_import()
        if name.startswith("node.web") and place_of(path) not in ("node.web", "node.cli")
    ]
    assert wrong == []


def test_nothing_imports_the_composition_root() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, name in every_import()
        if name.startswith("node.cli") and place_of(path) != "node.cli"
    ]
    assert wrong == []


def test_a_consumer_imports_nothing_of_the_local_stack_the_cli_or_the_web() -> None:
    """Seen failing: the settings imported the local stack, and with it twenty modules."""
    program = (
        "import pkgutil, sys, importlib, consumers\n"
        "for each in pkgutil.walk_packages(consumers.__path__, 'consumers.'):\n"
        "    importlib.import_module(each.name)\n"
        "import node.reconciliation.worker, node.scrub.worker, node.observing\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    kept_out = ("node.localstack", "node.cli", "node.web")
    assert [name for name in done.stdout.split() if name.startswith(kept_out)] == []


def test_settings_are_read_from_the_environment_only() -> None:
    wrong = [name for name in imports(ROOT / "node" / "settings.py") if "localstack" in name]
    assert wrong == []


def test_a_library_stays_where_it_belongs() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, name in every_import()
        if name.split(".")[0] in ONLY_IN and place_of(path) not in ONLY_IN[name.split(".")[0]]
    ]
    assert wrong == []
