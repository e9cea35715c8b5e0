"""Imports go one way: one ordered list of layers, the inside of `node/` included, and no circle."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "cases", "node", "producers", "consumers")
# From the lowest layer to the highest. A module imports its own package and the layers before its
# own; packages that share a layer never import each other.
LAYERS = (
    ("schemas",),
    ("cases",),
    ("node.runtime",),
    ("node.postgres", "node.kafka"),
    ("node.store",),
    ("node.keys", "node.rebuild", "node.recovery", "node.enquiry_access"),
    ("node.queries", "node.scrub"),
    ("node.reconcile",),
    ("producers", "consumers"),
    ("node.entrypoints.web", "node.localstack"),
    ("node.entrypoints.cli",),
)
LEVELS = {package: level for level, packages in enumerate(LAYERS) for package in packages}
# Packages that only hold others: no code stands in them.
HOLDERS = {"node", "node.entrypoints"}
# Rules that keep a library in one place.
ONLY_IN = {
    "fastavro": ("schemas",),
    "typer": ("node.entrypoints.cli",),
    "rich": ("node.entrypoints.cli",),
    "fastapi": ("node.entrypoints.web",),
    "starlette": ("node.entrypoints.web",),
    "uvicorn": ("node.entrypoints.web",),
    "jinja2": ("node.entrypoints.web",),
    "chinese_calendar": ("cases",),
    "cryptography": ("schemas", "node"),
}


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def package_of(module: str) -> str | None:
    """Return the package of the list of layers that `module` belongs to."""
    return next((package for package in LEVELS if is_in(module, package)), None)


def may_import(importer: str, imported: str) -> bool:
    own, other = package_of(importer), package_of(imported)
    if own is None or other is None:
        return False
    return own == other or LEVELS[other] < LEVELS[own]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def named_in(tree: ast.AST) -> Iterator[str]:
    """Return the modules, or the names of modules, that a file imports, inside of functions too."""
    for found in ast.walk(tree):
        if isinstance(found, ast.Import):
            yield from (alias.name for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            yield found.module or ""
            yield from (f"{found.module}.{alias.name}" for alias in found.names)


@cache
def imports() -> Mapping[str, frozenset[str]]:
    """Return each module of the product with the names that it imports."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(files) > 50
    return {
        module_of(path): frozenset(named_in(ast.parse(path.read_text(encoding="utf-8"))))
        for path in files
    }


def test_every_module_has_a_layer() -> None:
    """A new folder in `node/` is given its place in the list."""
    assert [name for name in imports() if package_of(name) is None and name not in HOLDERS] == []


@pytest.mark.parametrize("package", LEVELS)
def test_a_package_imports_lower_layers_only(package: str) -> None:
    modules = imports()
    wrong = [
        f"{importer} imports {name}"
        for importer, names in modules.items()
        if is_in(importer, package)
        for name in names
        if name in modules and name not in HOLDERS and not may_import(importer, name)
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = imports()
    arrows = {
        importer: {
            name
            for name in names
            # A package is named together with the module of it that is meant.
            if name in modules and not is_in(importer, name)
        }
        for importer, names in modules.items()
    }
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' → '.join(error.args[1])}")


def test_a_process_of_a_node_loads_nothing_of_the_local_stack_nor_of_the_web_service() -> None:
    """Seen failing: the settings imported the local stack, and with it twenty modules."""
    program = "import sys, node.entrypoints.cli.run, consumers.consumer; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    assert "consumers.consumer" in loaded
    assert [name for name in loaded if is_in(name, "node.localstack")] == []
    assert [name for name in loaded if is_in(name, "node.entrypoints.web")] == []


def test_a_library_stays_where_it_belongs() -> None:
    wrong = [
        f"{importer} imports {name}"
        for importer, names in imports().items()
        for name in names
        if name.split(".")[0] in ONLY_IN
        and not any(is_in(importer, package) for package in ONLY_IN[name.split(".")[0]])
    ]
    assert wrong == []
