"""Decide when a case is a repeat 重复: the same matter 同一事项 of the same person 同一人.

The same person has the same keyed digest of the identity number. A repeat is the same person and
the same matter (docs/domain.md §4), but *what makes two matters the same* is published nowhere:
`SAME_MATTER` is an assumption 假设 of ours, in one place to be discussed and changed.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from cases.rules.identity import FIRST, REPEAT

NO_IDENTITY: Final = "no identity given 未提供身份信息"
NONE_EARLIER: Final = "no earlier case of this person and matter 无同一人同一事项的前次信访件"
# GB/T 2260: the first six digits name the county; further ones are not always given.
_COUNTY_DIGITS = 6


class Known(NamedTuple):
    """The relevant fields of a case; `named` is the earlier case that its registrar named."""

    case_id: str
    registered_at: int
    identity_digest: str | None
    finding: str | None = None
    repeat_of: str | None = None
    named: str | None = None
    title: str = ""
    categories: tuple[str, ...] = ()
    area: str = ""


class Finding(NamedTuple):
    """First or repeat, and the reason."""

    finding: str
    repeat_of: str | None
    reason: str


def plain_title(case: Known) -> str:
    """Return the title without what does not matter: width, case, blanks, punctuation."""
    text = unicodedata.normalize("NFKC", case.title).casefold()
    return "".join(one for one in text if unicodedata.category(one)[0] in "LN")


def _place_and_kind(case: Known) -> str:
    """Return all three levels of the content category and the county; "" unless all are given."""
    parts = (*case.categories, case.area[:_COUNTY_DIGITS])
    whole = len(case.categories) == 3 and all(parts) and len(parts[-1]) == _COUNTY_DIGITS
    return "/".join(parts) if whole else ""


class Sameness(NamedTuple):
    """A criterion of sameness: what a case `asks` equals what an earlier one `answers`.

    An empty text matches nothing.
    """

    reason: str
    asks: Callable[[Known], str]
    answers: Callable[[Known], str]


# These are tried in order, among the cases of one person.
SAME_MATTER: Final = (
    Sameness(
        "the registering office names it, and it is of the same person 登记机关指明为前次信访件",
        lambda case: case.named or "",
        lambda case: case.case_id,
    ),
    Sameness("same person and same title 同一人且标题相同", plain_title, plain_title),
    Sameness(
        "same person, same content category and same county 同一人且内容分类与属地相同",
        _place_and_kind,
        _place_and_kind,
    ),
)


def identify(several: Iterable[Known]) -> Iterator[tuple[Known, Finding]]:
    """Yield a finding for each case without one, given all known cases of the same persons.

    Earlier findings stay: a case that was registered earlier but arrives later is the repeat, so
    that exactly one case of a matter is ever the first. Others follow in order of registration.
    """
    people: dict[str, _Person] = {}
    for case in sorted(several, key=_order):
        if case.identity_digest is None:
            if case.finding is None:
                yield case, Finding(FIRST, None, NO_IDENTITY)
            continue
        person = people.setdefault(case.identity_digest, _Person())
        if case.finding is None:
            found = person.finding_of(case)
            yield case, found
            case = case._replace(finding=found.finding, repeat_of=found.repeat_of)
        person.remember(case)


def _order(case: Known) -> tuple[bool, int, str]:
    return case.finding is None, case.registered_at, case.case_id


class _Person:
    """The cases of one person with a finding, by what they answer."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, str], str] = {}

    def finding_of(self, case: Known) -> Finding:
        for place, way in enumerate(SAME_MATTER):
            first = self._first.get((place, way.asks(case)))
            if first is not None and first != case.case_id:
                return Finding(REPEAT, first, way.reason)
        return Finding(FIRST, None, NONE_EARLIER)

    def remember(self, case: Known) -> None:
        """Add a case; a repeat answers with the first of its matter."""
        first = case.repeat_of or case.case_id
        for place, way in enumerate(SAME_MATTER):
            answer = way.answers(case)
            if answer:
                self._first.setdefault((place, answer), first)
