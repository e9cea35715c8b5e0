"""The control messages 控制消息 between nodes: JSON, with a model for each kind.

All lengths, numbers, lists and texts are bounded, so that the database can hold whatever is read.
What does not match its model is dropped (`message_intake`): nothing depends on a single message.
"""

from datetime import date
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from node.store.digests import BUCKETS
from schemas.limits import MAX_CASE_ID_CHARACTERS, MAX_INT, UUID_PATTERN

# If more events are in flight, a proof waits until the link has caught up.
MOST_IN_FLIGHT = 5_000
# They keep a message far below the broker's limit of 1 MiB: ids and digests are short.
MOST_CASES = 4_000
MOST_EVENTS = 12_000
_MOST_PARTITIONS = 1_000
_MOST_DAYS = 4_000
MOST_DEAD_LETTERS = 500
# The largest request of our own producer: no node writes a longer message.
MAX_MESSAGE_BYTES = 2 * 1024 * 1024
# A case is never split; a message with more ids than this is longer than the limit.
_MOST_EVENTS_OF_A_CASE = 50_000
_MOST_PARTS = 10_000
# No count or offset comes near it, and a message's sum over all its days is a bigint.
_MOST_FIGURE = 10**15

CaseId = Annotated[
    str, Field(min_length=1, max_length=MAX_CASE_ID_CHARACTERS, pattern=r"^[^\x00]+$")
]
EventId = Annotated[str, Field(pattern=f"^{UUID_PATTERN}$")]
EventIds = Annotated[list[EventId], Field(max_length=_MOST_EVENTS_OF_A_CASE)]
Name = Annotated[str, Field(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
Bucket = Annotated[int, Field(ge=0, lt=BUCKETS)]
Count = Annotated[int, Field(ge=0, le=_MOST_FIGURE)]
Figure = Annotated[int, Field(ge=-_MOST_FIGURE, le=_MOST_FIGURE)]
Part = Annotated[int, Field(ge=0, lt=_MOST_PARTS)]
Parts = Annotated[int, Field(ge=0, le=_MOST_PARTS)]
Partition = Annotated[int, Field(ge=0, lt=_MOST_PARTITIONS)]
Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Verified = Annotated[float | None, Field(ge=0, lt=2**40, allow_inf_nan=False)]
Positions = Annotated[dict[Partition, Count], Field(max_length=_MOST_PARTITIONS)]


class Message(BaseModel):
    """The base of all messages; unknown fields, of a newer release, are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def payload(self) -> bytes:
        return self.model_dump_json().encode()


class InFlight(Message):
    """An event that was sent and is not yet confirmed."""

    event_id: EventId
    bucket: Bucket
    digest: Int64


class Cut(Message):
    """The positions 切面 of the sender when it took its digests.

    `applied` is its position on what the other sends, `sent` the end of what it sent itself, by
    partition; `in_flight` is what it has not sent yet, or sent without a receipt.
    """

    applied: Positions
    sent: Positions
    in_flight: Annotated[list[InFlight], Field(max_length=MOST_IN_FLIGHT)]


class OfRound(Message):
    """A message of a round; `driver` is the process that began it."""

    round: Name
    driver: Name


class Digests(OfRound):
    """The digests of all buckets: [events, digest] each; `verified_at` as in `Verdict`."""

    cut: Cut
    verified_at: Verified = None
    buckets: Annotated[list[tuple[Count, Int64]], Field(min_length=BUCKETS, max_length=BUCKETS)]


class Verdict(OfRound):
    """An answer to `Digests`: `equal`, or `unsettled` if too much is in flight.

    `verified_at` is when the sender last finished recomputing its whole ledger from the bytes, in
    epoch seconds; None for never.
    """

    verdict: Literal["equal", "unsettled"]
    verified_at: Verified = None


class OfBucket(OfRound):
    """One of the `parts` of what is sent of a bucket."""

    bucket: Bucket
    part: Part
    parts: Parts


class Cases(OfBucket):
    """The cases of one of `buckets` differing buckets, [case id, events, digest] each."""

    buckets: Annotated[int, Field(ge=1, le=BUCKETS)]
    cases: Annotated[list[tuple[CaseId, Count, Int64]], Field(max_length=MOST_CASES)]


class Held(Message):
    """The events of a case that the sender holds; for `in_flight` it has no receipt.

    `digests` are those of `events`, in their order; an older release sends none.
    """

    case_id: CaseId
    events: EventIds
    in_flight: EventIds
    digests: Annotated[list[Int64], Field(max_length=_MOST_EVENTS_OF_A_CASE)] = []


class Events(OfBucket):
    """The differing cases of a bucket, or a part of them."""

    applied: Positions
    recovering: bool
    cases: Annotated[list[Held], Field(max_length=MOST_CASES)]


class CaseDifference(Message):
    """The events of a case that the sender (`here`) and the reader (`there`) of the message lack.

    `differing` are events that both hold with different bytes; `sent` are the missing ones that
    are sent again now.
    """

    case_id: CaseId
    missing_here: EventIds
    missing_there: EventIds
    differing: EventIds = []
    sent: Annotated[list[EventId], Field(max_length=2 * _MOST_EVENTS_OF_A_CASE)] = []


class Findings(OfBucket):
    """The answer to an `Events` message."""

    recovering: bool
    findings: Annotated[list[CaseDifference], Field(max_length=MOST_CASES)]


class Concluded(OfRound):
    """The end of a round, as the driver sees it."""

    findings: Annotated[list[CaseDifference], Field(max_length=MOST_CASES)]
    mismatched: Annotated[int, Field(ge=0, le=MAX_INT)]


class Day(Message):
    """The receiver's figures of a topic for one day."""

    day: date
    received: Count
    applied: Figure
    duplicates: Count
    dead_lettered: Figure


class SentDay(Message):
    """The sender's figures of a topic for one day."""

    day: date
    committed: Count
    published: Count
    unaccounted: Figure


_Day = TypeVar("_Day", Day, SentDay)


class DeadLettered(Message):
    """A record that is an open dead letter at the receiver, with its number there."""

    partition: Partition
    offset: Count
    reason: Annotated[Name, Field(max_length=40)]
    letter: Annotated[int, Field(ge=1, lt=2**63)] | None = None


def _each_day_once(days: list[_Day]) -> list[_Day]:
    if len({figures.day for figures in days}) < len(days):
        raise ValueError("a day occurs twice")
    return days


class LinkAccount(Message):
    """The account of the sender's side of a link, with the receipts for what it applied."""

    positions: Positions
    received: Annotated[list[Day], Field(max_length=_MOST_DAYS), AfterValidator(_each_day_once)]
    dead_letters: Annotated[list[DeadLettered], Field(max_length=MOST_DEAD_LETTERS)]
    sent: Annotated[list[SentDay], Field(max_length=_MOST_DAYS), AfterValidator(_each_day_once)]


class ClockProbe(Message):
    """An empty message, whose acknowledgement tells the broker's time (`node.store.clock_skew`)."""


KINDS: dict[str, type[Message]] = {
    "account": LinkAccount,
    "digests": Digests,
    "verdict": Verdict,
    "cases": Cases,
    "events": Events,
    "findings": Findings,
    "concluded": Concluded,
    "clock": ClockProbe,
}
_KIND_OF = {model: kind for kind, model in KINDS.items()}


def kind_of(message: Message) -> str:
    return _KIND_OF[type(message)]


class UnreadableMessage(ValueError):
    """A message is invalid; `reason` is the metric's label."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def read(kind: str, payload: bytes) -> Message | None:
    """Return the message, None if its kind is unknown; raises `UnreadableMessage` if invalid."""
    model = KINDS.get(kind)
    if model is None:
        return None
    if len(payload) > MAX_MESSAGE_BYTES:
        raise UnreadableMessage("too_large", f"control message {kind}: {len(payload)} bytes")
    try:
        return model.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        # A key in a peer's object may be of any length and contain anything.
        place = ascii(".".join(map(str, first["loc"]))[:80])[1:-1]
        raise UnreadableMessage(
            "malformed", f"control message {kind}: {place}: {first['msg']}"
        ) from None
