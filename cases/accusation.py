"""The accusation guard 检举控告材料不得转给被检举控告者 (docs/domain.md §4).

The accused are nodes or units, by code or name, never persons. A target is barred if it is the
accused or belongs to it: every node belongs to the national centre, a unit to the node or unit
whose name its own name contains. In doubt the guard refuses.
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from cases.nodes import NATIONAL, NODES

# Suffixes by which the name of a province still means the node.
_OFFICE_SUFFIXES = ("", "信访局", "人民政府")
_BY_NAME = {
    node.chinese + suffix: code for code, node in NODES.items() for suffix in _OFFICE_SUFFIXES
}
# A single character is no name.
_SHORTEST_NAME = 2


def is_barred(accused: Iterable[str], target: str) -> bool:
    """Return whether material must not reach `target`, a node code or the name of a unit."""
    return any(_reaches(_plain(name), _plain(target)) for name in accused)


def barred_nodes(accused: Iterable[str]) -> frozenset[str]:
    """Return the nodes that material must not reach."""
    names = [*accused]
    return frozenset(code for code in NODES if is_barred(names, code))


def _reaches(accused: str, target: str) -> bool:
    if len(accused) < _SHORTEST_NAME or not target:
        return False
    accused_node, target_node = _node(accused), _node(target)
    if accused_node == NATIONAL or accused_node == target_node is not None:
        return True
    if target_node is not None:
        return False  # a unit is accused, not the node that it belongs to
    if accused_node is not None:
        return NODES[accused_node].chinese in target
    return accused in target or (len(target) >= _SHORTEST_NAME and accused.endswith(target))


def _node(name: str) -> str | None:
    return name if name in NODES else _BY_NAME.get(name)


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    """Return the name without full-width forms and blanks, which do not make another unit."""
    return "".join(unicodedata.normalize("NFKC", name).split())
