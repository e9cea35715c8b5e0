"""What nodes say to each other about what they hold 控制消息: JSON, each kind a model.

A message that is no such model, or too long, is dropped with a warning: nothing depends on one.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from node.digests import BUCKETS
from schemas.limits import MAX_CASE_ID_CHARACTERS, UUID_PATTERN

# More on its way than this, and a proof waits until the link has caught up.
MOST_IN_FLIGHT = 5_000
# A message stays far under the broker's limit of 1 MiB: ids and digests are short.
MOST_CASES = 4_000
MOST_EVENTS = 12_000
_MOST_PARTITIONS = 1_000
_MOST_DAYS = 4_000
MOST_DEAD_LETTERS = 500

CaseId = Annotated[str, Field(min_length=1, max_length=MAX_CASE_ID_CHARACTERS)]
EventId = Annotated[str, Field(pattern=f"^{UUID_PATTERN}$")]
Bucket = Annotated[int, Field(ge=0, lt=BUCKETS)]
Count = Annotated[int, Field(ge=0)]
Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Verified = Annotated[float | None, Field(ge=0, lt=2**40, allow_inf_nan=False)]
Positions = Annotated[dict[int, Count], Field(max_length=_MOST_PARTITIONS)]


class Message(BaseModel):
    """The base of all; unknown fields of a newer release are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def payload(self) -> bytes:
        """As it travels."""
        return self.model_dump_json().encode()


class InFlight(Message):
    """An event that was sent and whose arrival is not yet known."""

    event_id: EventId
    bucket: Bucket
    digest: Int64


class Cut(Message):
    """Where the speaker stood when it took its digests 切面.

    `applied` is its position on what the other sends, `sent` the end of what it sent itself, by
    partition; `in_flight` what it owes or sent and of which it has no receipt.
    """

    applied: Positions
    sent: Positions
    in_flight: Annotated[list[InFlight], Field(max_length=MOST_IN_FLIGHT)]


class OfRound(Message):
    """Belongs to one round; `driver` is the process that began it."""

    round: Annotated[str, Field(max_length=64)]
    driver: Annotated[str, Field(max_length=64)]


class Digests(OfRound):
    """The digests of all buckets: [events, digest] each; `verified_at` as in `Verdict`."""

    cut: Cut
    verified_at: Verified = None
    buckets: Annotated[list[tuple[Count, Int64]], Field(min_length=BUCKETS, max_length=BUCKETS)]


class Verdict(OfRound):
    """`equal`, or `unsettled`: too much is on its way to tell.

    `verified_at` is when the speaker had last recomputed its whole ledger from the bytes, in epoch
    seconds; None for never.
    """

    verdict: Literal["equal", "unsettled"]
    verified_at: Verified = None


class Cases(OfRound):
    """The cases of one of `buckets` buckets that differ, [case id, events, digest] each."""

    buckets: Annotated[int, Field(ge=1, le=BUCKETS)]
    bucket: Bucket
    part: Count
    parts: Count
    cases: Annotated[list[tuple[CaseId, Count, Int64]], Field(max_length=MOST_CASES)]


class Held(Message):
    """The events that the speaker holds of a case; of `in_flight` it has no receipt.

    `digests` are those of `events`, in their order; an older release says none.
    """

    case_id: CaseId
    events: list[EventId]
    in_flight: list[EventId]
    digests: Annotated[list[Int64], Field(max_length=MOST_EVENTS)] = []


class Events(OfRound):
    """The differing cases of a bucket, or a part of them."""

    bucket: Bucket
    part: Count
    parts: Count
    applied: Positions
    recovering: bool
    cases: list[Held]


class Finding(Message):
    """What is missing of a case where the message was written, and where it is read.

    `differing` are events that both hold with different bytes; `sent` are those of the missing
    ones that somebody is about to send.
    """

    case_id: CaseId
    missing_here: list[EventId]
    missing_there: list[EventId]
    differing: Annotated[list[EventId], Field(max_length=MOST_EVENTS)] = []
    sent: Annotated[list[EventId], Field(max_length=2 * MOST_EVENTS)] = []


class Findings(OfRound):
    """What became of one `Events` message."""

    bucket: Bucket
    part: Count
    parts: Count
    recovering: bool
    findings: list[Finding]


class Concluded(OfRound):
    """The end of a round, as the driver sees it."""

    findings: Annotated[list[Finding], Field(max_length=MOST_CASES)]
    mismatched: Count


class Day(Message):
    """The receiver's figures of a topic for one day."""

    day: date
    received: Count
    applied: int
    duplicates: Count
    dead_lettered: int


class SentDay(Message):
    """The sender's figures of a topic for one day."""

    day: date
    committed: Count
    published: Count
    unaccounted: int


class DeadLettered(Message):
    """A record that is an open dead letter at the receiver; `letter` is its number there."""

    partition: Count
    offset: Count
    reason: Annotated[str, Field(max_length=40)]
    letter: Annotated[int, Field(ge=1, lt=2**63)] | None = None


class Account(Message):
    """Both sides of the speaker's link, and with it the receipts for what it applied."""

    positions: Positions
    received: Annotated[list[Day], Field(max_length=_MOST_DAYS)]
    dead_letters: Annotated[list[DeadLettered], Field(max_length=MOST_DEAD_LETTERS)]
    sent: Annotated[list[SentDay], Field(max_length=_MOST_DAYS)]


KINDS: dict[str, type[Message]] = {
    "account": Account,
    "digests": Digests,
    "verdict": Verdict,
    "cases": Cases,
    "events": Events,
    "findings": Findings,
    "concluded": Concluded,
}
_KIND_OF = {model: kind for kind, model in KINDS.items()}


def kind_of(message: Message) -> str:
    """The name of its kind, as in the header."""
    return _KIND_OF[type(message)]


def read(kind: str, payload: bytes) -> Message | None:
    """The message, None if this release has no such kind. Raises `ValueError` for a wrong one."""
    model = KINDS.get(kind)
    try:
        return model.model_validate_json(payload) if model else None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"control message {kind}: {place}: {first['msg']}") from None
