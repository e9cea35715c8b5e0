"""The steps of a case 办理过程 that one row of a register can hold, each at most once."""

from typing import Final, NamedTuple

from cases.vocabulary import event_types as types


class Step(NamedTuple):
    """One command of a row, and the event that it becomes.

    One of the steps in `after`, if any, must come before it, and none in `without` may be there.
    """

    event_type: str
    chinese: str
    after: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


# In the order of a life 登记 → 转送或交办 → 落地 → 受理或不予受理 → 延期 → 答复 → 送达 → 办结.
# The rules of `cases` decide who may do a step and when; this only keeps a row consistent.
HANDLING: Final = {
    "forward": Step(types.FORWARDED, "转送", without=("assign",)),
    "assign": Step(types.ASSIGNED, "交办"),
    "land": Step(types.LANDED, "落地接收", after=("forward", "assign")),
    "accept": Step(types.ACCEPTED, "受理", without=("not_accept",)),
    "not_accept": Step(types.NOT_ACCEPTED, "不予受理"),
    "extend": Step(types.EXTENDED, "延期", after=("accept",)),
    "decide": Step(types.DECIDED, "答复", after=("accept",)),
    "serve": Step(types.SERVED, "送达", after=("decide",)),
    "close": Step(types.CLOSED, "办结", after=("serve",)),
}
