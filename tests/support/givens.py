"""Commands as somebody may give them 指令内容: mostly sensible, `detail` chooses."""

from typing import Any

from support.universe import CODES, DAY

from cases.case import Case

CASES = ("110000-20260301-AAAAAAAA", "660000-20260301-BBBBBBBB")
ACCUSED: tuple[list[str], ...] = (
    [],
    [],
    [],
    [],
    ["370000"],
    ["山东省信访局"],
    ["660000", "某某局"],
    ["000000"],
)
_CLASSES = (("", ""), ("claim", "6"), ("claim", "6"), ("suggestion", ""), ("claim", "2"))


def given(name: str, case: Case, node: str, at: int, detail: int) -> dict[str, Any]:
    """Return what somebody may give with a command; mostly sensible, `detail` chooses."""
    make = _GIVEN.get(name)
    return make(case, node, at, detail) if make else {}


def _pick(several: Any, detail: int) -> Any:
    return several[detail % len(several)]


def _registration(case: Case, node: str, at: int, detail: int) -> dict[str, Any]:
    petition_class, claim_path = _pick(_CLASSES, detail // 7)
    return {
        "title": "供暖不足",
        "channel": "web",
        "received_at": at - detail % 3 * DAY,
        "petition_class": petition_class,
        "claim_path": claim_path,
        "accused": _pick(ACCUSED, detail // 11),
        "persons": detail % 9 + 1,
        "confidential": detail % 16 == 5,
        "litigation": detail % 16 == 6,
    }


_CORRECTIONS = (
    *(("persons", "7"), ("petition_class", "suggestion"), ("claim_path", "6")),
    *(("received_at", "2026-03-01T08:00:00+08:00"), ("litigation", "true")),
    *(("accused", "660000"), ("accused", "山东省信访局"), ("accused", "")),
    *(("confidential", "true"), ("accused", "000000"), ("shoe_size", "43")),
)


def _correction(case: Case, node: str, at: int, detail: int) -> dict[str, Any]:
    field, value = _pick(_CORRECTIONS, detail // 7)
    return {"corrections": [{"field": field, "value": value}], "reason": "更正"}


def _to(case: Case, node: str, at: int, detail: int) -> dict[str, Any]:
    return {"to": _pick((*CODES, *CODES, "999999"), detail // 3)}


def _other(case: Case) -> str:
    return CASES[case.case_id == CASES[0]]


def _supervision(case: Case, node: str, at: int, detail: int) -> dict[str, Any]:
    known = [*case.supervisions] or ["0195533c-0000-7000-8000-000000000001"]
    return {"supervision_id": _pick(known, detail), "answer": "已整改"}


_DOCUMENTS = ("decision", "review_decision", "recheck_decision")
_REASONS: dict[str, Any] = {"reasons": "理由"}
_OUTCOMES = ("upheld", "changed", "revoked", "remanded")
_GIVEN: dict[str, Any] = {
    "register": _registration,
    "identify": lambda case, node, at, d: {
        "finding": _pick(("first", "first", "repeat"), d),
        "repeat_of": _other(case),
        "group": d % 2 == 0,
    },
    "merge": lambda case, node, at, d: {"into": _other(case)},
    "correct": _correction,
    "forward": _to,
    "assign": lambda case, node, at, d: {
        **_to(case, node, at, d),
        "report_due_at": at + d % 40 * DAY,
    },
    "copy": _to,
    "object": lambda case, node, at, d: {
        **_REASONS,
        "to": case.dispatch["by"] if case.dispatch and d % 8 else "110000",
    },
    "rule_objection": lambda case, node, at, d: {
        **_REASONS,
        "ruling": _pick(("agreed", "refused"), d),
        "to": case.objection["by"] if case.objection else "110000",
    },
    "divert": lambda case, node, at, d: {
        **_REASONS,
        "kind": "led_in",
        "pathway": "litigation",
        "competent": "某某法院",
    },
    "accept": lambda case, node, at, d: {
        "procedure": _pick(("ordinary", "ordinary", "simple"), d // 5)
    },
    "not_accept": lambda case, node, at, d: {**_REASONS, "article": "第三十一条"},
    "no_longer_accept": lambda case, node, at, d: {**_REASONS, "recheck": "复核〔2026〕1号"},
    "overrule": lambda case, node, at, d: {**_REASONS, **_to(case, node, at, d)},
    "progress": lambda case, node, at, d: {"progress": "调查中"},
    "extend": lambda case, node, at, d: {"days": d % 34, "reason": "复杂", "approver": "某主任"},
    "decide": lambda case, node, at, d: {"outcome": "explained", "opinion": "意见"},
    "serve": lambda case, node, at, d: {
        "document": "notice" if d % 16 == 1 else _pick(_DOCUMENTS, d)
    },
    "request_review": lambda case, node, at, d: _REASONS,
    "request_recheck": lambda case, node, at, d: _REASONS,
    "decide_review": lambda case, node, at, d: {"outcome": _pick(_OUTCOMES, d), "opinion": "意见"},
    "decide_recheck": lambda case, node, at, d: {
        "outcome": _pick(_OUTCOMES, d),
        "opinion": "意见",
        **({"hearing_from": at - DAY, "hearing_until": at} if d % 3 == 0 else {}),
    },
    "supervise": lambda case, node, at, d: {
        **_to(case, node, at, d),
        "kind": "urged",
        "grounds": [1],
        "requirement": "请办理",
    },
    "reply_supervision": _supervision,
    "lift_supervision": lambda case, node, at, d: {
        "supervision_id": _supervision(case, node, at, d)["supervision_id"]
    },
    "evaluate": lambda case, node, at, d: {
        "object": _pick(("office", "unit"), d),
        "satisfaction": _pick(("satisfied", "basically_satisfied", "dissatisfied"), d // 3),
        "reason": _pick(("拖延", ""), d),
    },
    "expire_evaluation": lambda case, node, at, d: {"object": _pick(("office", "unit"), d)},
}
