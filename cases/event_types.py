"""Event types 事件类型 of the main line, as they stand in `ce_type` (CONTRACT §2).

The other types travel and are kept; their effects on a case come with the rest of its life.
"""

from __future__ import annotations

REGISTERED = "petition.case.registered.v1"
FORWARDED = "petition.case.forwarded.v1"
ASSIGNED = "petition.case.assigned.v1"
COPIED = "petition.case.copied.v1"
LANDED = "petition.case.landed.v1"
ACCEPTED = "petition.case.accepted.v1"
DECIDED = "petition.case.decided.v1"
SERVED = "petition.case.served.v1"
CLOSED = "petition.case.closed.v1"
EVALUATED = "petition.evaluation.recorded.v1"
EVALUATION_EXPIRED = "petition.evaluation.expired.v1"
