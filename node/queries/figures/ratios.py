"""The ratios 指标 as data: their names, and the tallies of numerator and denominator."""

from typing import Any, Final, NamedTuple

from cases.nodes import NODES

REPLY_PARTS: Final = ("on_time", "late", "not_yet_due", "overdue_open")
# The dates by which volumes and the online share can be counted.
BASES: Final = {"registration": "登记日期", "petition": "信访日期", "exchange": "交换日期"}


class RatioRule(NamedTuple):
    """A share, with the tallies that its numerator and its denominator add up."""

    chinese: str
    english: str
    above: tuple[str, ...]
    below: tuple[str, ...]


RATIOS: Final = {
    "timely_acceptance_office": RatioRule(
        *("及时受理率(信访部门)", "timely acceptance, office", ("office_timely",), ("office_all",))
    ),
    "timely_acceptance_unit": RatioRule(
        *("及时受理率(责任单位)", "timely acceptance, unit", ("unit_timely",), ("unit_all",))
    ),
    "on_time_reply": RatioRule("按期办结率", "on-time reply", ("on_time",), REPLY_PARTS),
    "participation_office": RatioRule(
        *("参评率(信访部门)", "participation, office"),
        *(("evaluated_office",), ("evaluated_office", "expired_office")),
    ),
    "participation_unit": RatioRule(
        *("参评率(责任单位)", "participation, unit"),
        *(("evaluated_unit",), ("evaluated_unit", "expired_unit")),
    ),
    "satisfaction_office": RatioRule(
        *("群众满意率(信访部门)", "satisfaction, office"),
        *(("content_office",), ("evaluated_office",)),
    ),
    "satisfaction_unit": RatioRule(
        *("群众满意率(责任单位)", "satisfaction, unit"),
        *(("content_unit",), ("evaluated_unit",)),
    ),
    "repeat_rate": RatioRule("重复信访率", "repeat rate", ("repeats",), ("registration_cases",)),
    "online_share": RatioRule("网信占比", "online share", ("chosen_online",), ("chosen_cases",)),
    "landing": RatioRule("落地及时率", "landing rate", ("landed",), ("arrived",)),
    "answered_within_15_days": RatioRule(
        *("15日内答复率", "answered within 15 days", ("answered_15",), ("first_cases",))
    ),
    "answered_within_60_days": RatioRule(
        *("60日内答复率", "answered within 60 days", ("answered_60",), ("first_cases",))
    ),
}


def share(numerator: int, denominator: int) -> dict[str, Any]:
    """Return a share; its value is None ("n/a") if there was nothing to count."""
    value = round(numerator / denominator, 6) if denominator else None
    return {"numerator": numerator, "denominator": denominator, "value": value}


def named(code: str | None) -> dict[str, Any]:
    """Return a node's code and Chinese name; both None where nobody is responsible."""
    return {"node": code, "name": NODES[code].chinese if code in NODES else None}


def figures(tally: dict[str, int], by_date: str) -> dict[str, Any]:
    """Return all ratios and volumes of a node's tallies; the online share by `by_date`."""
    have = {
        **tally,
        "chosen_online": tally.get(f"{by_date}_online", 0),
        "chosen_cases": tally.get(f"{by_date}_cases", 0),
    }

    def total(names: tuple[str, ...]) -> int:
        return sum(have.get(name, 0) for name in names)

    shares: dict[str, Any] = {
        name: share(total(ratio.above), total(ratio.below)) for name, ratio in RATIOS.items()
    }
    shares["on_time_reply"]["parts"] = {name: have.get(name, 0) for name in REPLY_PARTS}
    shares["volumes"] = {
        basis: {unit: have.get(f"{basis}_{unit}", 0) for unit in ("cases", "persons")}
        for basis in BASES
    }
    return shares
