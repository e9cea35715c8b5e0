"""Count the product's files and functions that run inside a function of it."""

import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_PROJECT = Path(__file__).parents[2]
_PACKAGES = ("schemas", "cases", "node", "producers", "consumers")
_PRODUCT = tuple(f"{_PROJECT / package}/" for package in _PACKAGES)


class Visits:
    """The functions that were called, by file, and the calls from one file into another."""

    def __init__(self) -> None:
        self.functions: dict[str, set[str]] = defaultdict(set)
        self.calls_across_files = 0

    @property
    def files(self) -> int:
        """The number of files."""
        return len(self.functions)

    def __str__(self) -> str:
        number = sum(len(names) for names in self.functions.values())
        lines = [f"{self.files} files, {number} functions, {self.calls_across_files} calls across"]
        for file, names in sorted(self.functions.items()):
            lines.append(f"    {file.removeprefix(f'{_PROJECT}/')}: {', '.join(sorted(names))}")
        return "\n".join(lines)

    def add(self, code: CodeType, caller: FrameType | None) -> None:
        """Note a call if its function is the product's own."""
        file = code.co_filename
        # Making a class or importing a module is no step of an event.
        if not file.startswith(_PRODUCT) or code.co_name == "<module>":
            return
        # A comprehension is a part of its function.
        name = code.co_qualname.partition(".<locals>")[0]
        self.functions[file].add(name)
        if caller is not None and caller.f_code.co_filename.startswith(_PRODUCT):
            self.calls_across_files += caller.f_code.co_filename != file


class Tracer:
    """Note what runs inside the functions `roots`, while `is_on`."""

    def __init__(self, *roots: Callable[..., Any]) -> None:
        self.visits = Visits()
        self.is_on = False
        self._roots = {root.__code__ for root in roots}
        self._depths = threading.local()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Trace this thread and all threads that start inside the block."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        depth = getattr(self._depths, "inside", 0)
        if event == "call":
            depth += code in self._roots
            if depth and self.is_on:
                self.visits.add(code, frame.f_back)
        elif event == "return":
            depth -= code in self._roots
        self._depths.inside = depth
