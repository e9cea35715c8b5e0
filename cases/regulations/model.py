"""This module defines the values of a rule set 法规."""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple


class ClockRule(NamedTuple):
    """A clock 时限: its length, its start, its owner, the matters it applies to, and its ground.

    A `duty` 责任 can be overdue; a clock that is no duty is a window 权利期限, a right that lapses.
    `source` says how binding it is: published 公布, practice 实践, assumption 假设 of ours.
    """

    id: str
    chinese: str
    english: str
    length: int  # the most that may be granted for D07; 0 where the act names the end (D12)
    unit: str  # day 自然日, working_day 工作日, named 由文书载明
    starts: str  # one of STARTS
    owner: str  # one of OWNERS
    duty: bool
    source: str
    applies: str = "all"  # all, or claim_6: claims under item 6 of article 31
    article: str = ""
    verified: bool = False  # the article was read in a text of the regulation
    roll_over: bool = False  # natural days: move the end off a day of rest; not the practice
    pause: str = ""  # hearing 听证 stops it
    tiers: Mapping[str, int] = {}  # D01a: the share of each tier 层级 in the whole length

    @property
    def window(self) -> bool:
        """Return whether it limits a right instead of demanding an act."""
        return not self.duty


class MatterClass(NamedTuple):
    """A class of matters 信访类别, or one of the six paths of a claim 申诉求决."""

    chinese: str
    article: str
    english: str


class Regulation(NamedTuple):
    """A rule set. `articles` maps the rule of a refusal to its article, "" for our own rules."""

    id: str
    chinese: str
    english: str
    first_day: date
    checked_against: str
    group_from: int
    unclassed_as: str
    classes: Mapping[str, MatterClass]
    claim_paths: Mapping[str, MatterClass]
    grounds: Mapping[str, str]
    articles: Mapping[str, str]
    clocks: Mapping[str, ClockRule]
    last_day: date | None = None

    def applies(self, clock: str, petition_class: str, claim_path: str) -> bool:
        """Return whether matters of this class and path have this clock in this rule set."""
        rule = self.clocks.get(clock)
        if rule is None:
            return False
        if rule.applies == "all":
            return True
        return (path_of(petition_class, claim_path) or self.unclassed_as) == rule.applies

    def cite(self, rule: str) -> str:
        """Return the article of a refusal as people quote it, 《信访工作条例》第三十四条, or ""."""
        article = self.articles.get(rule, "")
        return f"{self.chinese}{article}" if article else ""


# The starts of clocks; docs/rule-sets.md has the event of each.
STARTS = frozenset(
    {
        "receipt",  # 收到信访事项
        "arrival",  # 到达节点
        "acceptance",  # 受理
        "end_of_handling",  # 原办结期限届满
        "service_of_decision",  # 处理意见送达
        "service_of_review",  # 复查意见送达
        "request",  # 收到复查、复核请求
        "assignment",  # 交办
        "supervision",  # 收到督办
    }
)
OWNERS = frozenset({"office", "tier", "province", "unit", "receiver", "petitioner", "reviewer"})
UNITS = frozenset({"day", "working_day", "named"})
SOURCES = frozenset({"published", "practice", "assumption"})
APPLIES = frozenset({"all", "claim_6"})


def path_of(petition_class: str, claim_path: str) -> str:
    """Return the class of a matter in one word, as claim_6 or suggestion; "" if it has none.

    A claim without a path is as open as a matter without a class.
    """
    if petition_class != "claim":
        return petition_class
    return f"claim_{claim_path}" if claim_path else ""
