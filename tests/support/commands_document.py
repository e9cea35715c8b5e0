"""The tables of docs/commands.md 指令表 as the code has them: rules, schemas, rule sets."""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from cases.regulations import regulation
from cases.rules import RULES
from cases.rules.model import ANY_REGISTERED, LIVING, Rule
from cases.vocabulary.commands import COMMANDS
from schemas.catalogue import Avro, catalogue
from schemas.event import ENVELOPE_FIELDS

CHINESE = {
    "register": "登记",
    "identify": "认定初次、重复",
    "merge": "并件",
    "correct": "更正",
    "withdraw": "撤回",
    "forward": "转送",
    "assign": "交办",
    "copy": "抄送",
    "land": "落地接收",
    "object": "提出异议",
    "rule_objection": "裁定异议",
    "divert": "导入法定途径、移送",
    "accept": "受理",
    "not_accept": "不予受理",
    "no_longer_accept": "不再受理",
    "overrule": "纠正应受理未受理",
    "progress": "报告进展",
    "extend": "延期",
    "decide": "出具处理意见",
    "serve": "送达",
    "close": "办结",
    "request_review": "申请复查",
    "decide_review": "出具复查意见",
    "request_recheck": "申请复核",
    "decide_recheck": "出具复核意见",
    "supervise": "督办",
    "reply_supervision": "答复督办",
    "lift_supervision": "解除督办",
    "evaluate": "评价",
    "expire_evaluation": "评价期满",
}
_WHO = {
    "by_handler": "the handler",
    "by_handler_or_centre": "the handler or the centre",
    "by_participant": "a participant",
    "_by_the_centre": "the centre",
    "_served_by_its_maker": "the handler; papers of a review: a participant",
    "_by_the_supervised": "the supervised node",
    "_by_the_issuer": "who issued it",
}


def command_rows() -> list[str]:
    """Return a row for each command."""
    return [_row(name, RULES[event_type]) for name, event_type in COMMANDS.items()]


def _row(name: str, rule: Rule) -> str:
    checks = [check.__name__ for check in rule.checks]
    who = next((_WHO[check] for check in checks if check in _WHO), "any node")
    named = sorted({found for check in rule.checks for found in rules_of(check)})
    cells = (f"`{name}` {CHINESE[name]}", who, _states(rule), _fields(name), ", ".join(named))
    return f"| {' | '.join(cells)} |"


def _states(rule: Rule) -> str:
    if rule.states == ANY_REGISTERED:
        return "*registered at all*"
    if rule.states == LIVING:
        return "*living*"
    return ", ".join(sorted(rule.states))


def _fields(name: str) -> str:
    avro: list[Avro] = catalogue().by_type[COMMANDS[name]].avro["fields"][len(ENVELOPE_FIELDS) :]
    given = [field for field in avro if not field.get("computed") and field["name"] != "clocks"]
    shown = [f"**{one['name']}**" if one.get("required") else one["name"] for one in given]
    return ", ".join(shown)


def rules_of(check: Callable[..., Any]) -> Iterator[str]:
    """Return the rule names that a check can give, through the functions it calls."""
    source = inspect.getsource(check)
    yield from re.findall(r'Violation\(\s*"(\w+)"', source)
    if "STATE_SECRET," in source:
        yield "state_secret"
    for cell in check.__closure__ or ():
        if isinstance(cell.cell_contents, str) and "_" in cell.cell_contents:
            yield cell.cell_contents
    for name in set(re.findall(r"\b(\w+)\(", source)) - {check.__name__}:
        called = check.__globals__.get(name)
        if inspect.isfunction(called) and called.__module__.startswith("cases.rules"):
            yield from rules_of(called)


def refusal_rows() -> list[str]:
    """Return a row for each rule name, with its article in both rule sets."""
    named = {found for rule in RULES.values() for one in rule.checks for found in rules_of(one)}
    named |= {"wrong_state", "already_registered", "not_registered"}
    return [
        f"| `{name}` | {_article('XF2005', name)} | {_article('XF2022', name)} |"
        for name in sorted(named)
    ]


def _article(rule_set: str, name: str) -> str:
    return regulation(rule_set).articles.get(name, "") or "—"
