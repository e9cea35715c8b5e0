"""The table of guards 规则一览: one example for each rule name, often several."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from support.story import BEIJING, CASE, CENTRE, CORPS, REASONS, SHANDONG

EXTEND = {"days": 30, "reason": "复杂", "approver": "某主任"}
OPINION = {"outcome": "explained", "opinion": "意见"}
ORDER = {"kind": "urged", "grounds": [1], "requirement": "请办理"}
DIVERT = {**REASONS, "kind": "led_in", "pathway": "litigation"}
NOBODYS_ID = "0195533c-0000-7000-8000-000000000001"
GOOD = {"object": "unit", "satisfaction": "satisfied"}
HANDED = "此前"


Given = Mapping[str, Any]
_NOTHING: Given = MappingProxyType({})


class Guard(NamedTuple):
    """Reach `state`, let `days` pass, do `before`; then `node` is refused `command` by `rule`."""

    rule: str
    state: str
    node: str
    command: str
    given: Given = _NOTHING
    days: float = 0
    before: tuple[tuple[str, str, dict[str, Any]], ...] = ()
    registration: Given = _NOTHING
    rule_sets: tuple[str, ...] = ("XF2005", "XF2022")


def correct(field: str, value: str) -> dict[str, Any]:
    """Return a correction of one field."""
    return {"corrections": [{"field": field, "value": value}], "reason": "更正"}


ANEW = (SHANDONG, "decide_review", {**OPINION, "outcome": "remanded"})
REFUSED = (SHANDONG, "not_accept", {**REASONS, "article": "第三十一条"})
NEW_ONLY, OLD_ONLY = ("XF2022",), ("XF2005",)
SUGGESTION = {"petition_class": "suggestion"}
AGAINST_SHANDONG = {"accused": ["山东省"]}

GUARDS = [
    # Registration 登记, and what is set right about it.
    Guard("state_secret", "", BEIJING, "register", {"confidential": True}),
    Guard("accusation", "", BEIJING, "register", {"accused": ["北京市信访局"]}),
    Guard("accusation", "", BEIJING, "register", {"accused": ["000000"]}),
    Guard("already_registered", "registered", BEIJING, "register"),
    Guard("case_id", "", CORPS, "register"),
    Guard("not_registered", "registered", CORPS, "land"),
    Guard("in_the_future", "registered", BEIJING, "accept", {"_at": 1}),
    Guard("petitioner", "registered", BEIJING, "accept", {"_petitioner": True}),
    Guard("state_secret", "registered", BEIJING, "correct", correct("confidential", "是")),
    Guard("correction", "registered", BEIJING, "correct", correct("shoe_size", "43")),
    Guard("accusation", "registered", BEIJING, "correct", correct("accused", "国家信访局")),
    Guard(
        *("accusation", "registered", BEIJING, "correct", correct("accused", "")),
        registration=AGAINST_SHANDONG,
    ),
    Guard("not_a_participant", "landed", CENTRE, "supervise", {**ORDER, "to": CORPS}),
    Guard("same_case", "registered", BEIJING, "merge", {"into": CASE}),
    Guard("wrong_state", "served", SHANDONG, "withdraw"),
    Guard("identity_national", "registered", BEIJING, "identify", {"finding": "first"}),
    Guard("repeat_of", "registered", CENTRE, "identify", {"finding": "repeat"}),
    # The way 流转.
    Guard("unknown_node", "registered", BEIJING, "forward", {"to": "999999"}),
    Guard("same_node", "registered", BEIJING, "forward", {"to": BEIJING}),
    Guard("not_responsible", "assigned", BEIJING, "land"),
    Guard("accusation", "registered", BEIJING, "forward", {"to": SHANDONG},
          registration=AGAINST_SHANDONG),
    Guard("accusation", "registered", CENTRE, "copy", {"to": SHANDONG},
          registration=AGAINST_SHANDONG),
    Guard("accusation", "registered", BEIJING, "forward", {"to": CORPS, "unit": "某某局二处"},
          registration={"accused": ["某某局"]}),
    Guard("accusation", "registered", BEIJING, "divert", {**DIVERT, "competent": "某某局"},
          registration={"accused": ["某某局"]}),
    Guard("objection_not_known", "landed", SHANDONG, "object", REASONS, rule_sets=OLD_ONLY),
    Guard("objection_window", "landed", SHANDONG, "object", REASONS, days=8, rule_sets=NEW_ONLY),
    Guard("not_the_sender", "landed", SHANDONG, "object", {**REASONS, "to": BEIJING},
          rule_sets=NEW_ONLY),
    Guard("objection_once", "landed", SHANDONG, "object", REASONS, rule_sets=NEW_ONLY,
          before=((SHANDONG, "object", REASONS),
                  (CENTRE, "rule_objection", {**REASONS, "ruling": "refused"}))),
    Guard("not_the_objector", "landed", CENTRE, "rule_objection",
          {**REASONS, "ruling": "refused", "to": CORPS}, rule_sets=NEW_ONLY,
          before=((SHANDONG, "object", REASONS),)),
    # Acceptance 受理.
    Guard("overrule_national", "landed", SHANDONG, "overrule", {**REASONS, "to": SHANDONG},
          before=(REFUSED,)),
    Guard("wrong_state", "landed", CENTRE, "overrule", {**REASONS, "to": SHANDONG}),
    Guard("wrong_state", "landed", SHANDONG, "not_accept", REFUSED[2],
          before=(REFUSED, (CENTRE, "overrule", {**REASONS, "to": SHANDONG}))),
    # Handling 办理.
    Guard("wrong_state", "landed", SHANDONG, "extend", EXTEND),
    Guard("extension_once", "accepted", SHANDONG, "extend", EXTEND,
          before=((SHANDONG, "extend", EXTEND),)),
    Guard("extension_late", "accepted", SHANDONG, "extend", EXTEND, days=61),
    Guard("extension_no_clock", "accepted", SHANDONG, "extend", EXTEND,
          registration=SUGGESTION, rule_sets=NEW_ONLY),
    Guard("decided", "review_decided", SHANDONG, "decide", OPINION),
    Guard("decide_anew", "review_requested", SHANDONG, "close", before=(ANEW,)),
    Guard("wrong_state", "accepted", SHANDONG, "serve"),
    Guard("nothing_to_serve", "served", SHANDONG, "serve", {"document": "review_decision"}),
    Guard("nothing_to_serve", "review_decided", SHANDONG, "serve",
          {"document": "review_decision"},
          before=((SHANDONG, "serve", {"document": "review_decision"}),)),
    # Review 复查 and recheck 复核.
    Guard("review_window", "served", SHANDONG, "request_review", REASONS, days=31),
    Guard("review_window", "review_decided", SHANDONG, "request_review", REASONS,
          before=((SHANDONG, "close", {}),)),
    Guard("no_review", "served", SHANDONG, "request_review", REASONS,
          registration=SUGGESTION, rule_sets=NEW_ONLY),
    Guard("recheck_needs_review", "served", SHANDONG, "request_recheck", REASONS,
          before=((SHANDONG, "close", {}),)),
    Guard("recheck_needs_review", "review_requested", SHANDONG, "request_recheck", REASONS,
          before=(ANEW, (SHANDONG, "decide", OPINION), (SHANDONG, "serve", {}),
                  (SHANDONG, "close", {}))),
    Guard("final", "recheck_decided", SHANDONG, "request_review", REASONS,
          before=((SHANDONG, "close", {}),)),
    # Supervision 督查督办.
    Guard("supervision_national", "landed", SHANDONG, "supervise", {**ORDER, "to": BEIJING}),
    Guard("supervision_unknown", "landed", SHANDONG, "reply_supervision",
          {"supervision_id": NOBODYS_ID, "answer": "已整改"}),
    Guard("not_responsible", "landed", BEIJING, "reply_supervision",
          {"supervision_id": HANDED, "answer": "已整改"},
          before=((CENTRE, "supervise", {**ORDER, "to": SHANDONG}),)),
    Guard("supervision_answered", "landed", SHANDONG, "reply_supervision",
          {"supervision_id": HANDED, "answer": "又整改"},
          before=((CENTRE, "supervise", {**ORDER, "to": SHANDONG}),
                  (SHANDONG, "reply_supervision", {"supervision_id": HANDED, "answer": "是"}))),
    Guard("supervision_lifted", "landed", SHANDONG, "reply_supervision",
          {"supervision_id": HANDED, "answer": "已整改"},
          before=((CENTRE, "supervise", {**ORDER, "to": SHANDONG}),
                  (CENTRE, "lift_supervision", {"supervision_id": HANDED}))),
    Guard("not_responsible", "landed", SHANDONG, "lift_supervision", {"supervision_id": HANDED},
          before=((CENTRE, "supervise", {**ORDER, "to": SHANDONG}),)),
    # Evaluation 评价.
    Guard("wrong_state", "decided", BEIJING, "evaluate", GOOD),
    Guard("evaluation_first_only", "served", BEIJING, "evaluate", GOOD,
          before=((CENTRE, "identify", {"finding": "repeat", "repeat_of": "110000-1"}),)),
    Guard("evaluation_statutory", "served", BEIJING, "evaluate", GOOD,
          registration={"litigation": True}),
    Guard("evaluation_statutory", "served", BEIJING, "evaluate", GOOD,
          registration={"petition_class": "claim", "claim_path": "2"}),
    Guard("evaluation_window", "served", BEIJING, "evaluate", GOOD, days=31),
    Guard("evaluation_window", "served", BEIJING, "expire_evaluation", {"object": "unit"}, days=29),
    Guard("already_evaluated", "served", BEIJING, "evaluate", GOOD, before=(
        (BEIJING, "evaluate", GOOD),)),
    Guard("already_evaluated", "served", BEIJING, "expire_evaluation", {"object": "unit"},
          before=((BEIJING, "evaluate", GOOD),), days=31),
    Guard("dissatisfied_reason", "served", BEIJING, "evaluate",
          {"object": "unit", "satisfaction": "dissatisfied"}),
]  # fmt: skip
