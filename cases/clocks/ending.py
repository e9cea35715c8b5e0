"""Which clocks an event ends 停止: those that it meets, and those that it makes needless."""

from __future__ import annotations

from typing import NamedTuple

from cases import event_types as types
from cases.clocks.groups import ALL, ARRIVAL, DISPOSAL, REPLY


class Ends(NamedTuple):
    """Clocks that an event meets (if its emitter owns them) and those it makes needless."""

    meets: frozenset[str] = frozenset()
    cancels: frozenset[str] = frozenset()
    # An event that brings its own clock and meets it ends after it starts.
    own: bool = False


_TAKEN_UP = DISPOSAL | {"D02", "D03"}
_PASSED_ON = Ends(DISPOSAL | {"D02"}, frozenset({"D03", "D05"}))

ENDS: dict[str, Ends] = {
    types.FORWARDED: _PASSED_ON,
    types.ASSIGNED: _PASSED_ON,
    types.LANDED: Ends(frozenset({"D02"}), own=True),
    types.OBJECTED: Ends(frozenset({"D05"}), ARRIVAL | {"D12"}),
    types.ACCEPTED: Ends(_TAKEN_UP, frozenset({"D05"})),
    types.NOT_ACCEPTED: Ends(_TAKEN_UP | {"D12"}, frozenset({"D05"})),
    types.NO_LONGER_ACCEPTED: Ends(_TAKEN_UP | {"D12"}, frozenset({"D05"})),
    types.DIVERTED: Ends(_TAKEN_UP | {"D12"}, REPLY | {"D05"}),
    types.DECIDED: Ends(REPLY | {"D12"}),
    types.REVIEW_REQUESTED: Ends(frozenset({"D08"})),
    types.REVIEW_DECIDED: Ends(frozenset({"D09"})),
    types.RECHECK_REQUESTED: Ends(frozenset({"D10"})),
    types.RECHECK_DECIDED: Ends(frozenset({"D11"}), own=True),
    types.WITHDRAWN: Ends(cancels=ALL),
    types.MERGED: Ends(cancels=ALL),
}
