"""The rules of registration 登记 and of later changes to it: 更正, 撤回, 并件."""

from cases.accusation import is_barred
from cases.case import Case, Fact, State
from cases.nodes import NATIONAL
from cases.rules.corrections import corrected
from cases.rules.model import ANY_REGISTERED, OPEN, UNREGISTERED, Rule, Violation
from cases.rules.responsibility import by_handler_or_centre, by_participant, release, take_part
from cases.vocabulary import event_types as types
from schemas.errors import Invalid
from schemas.event import Event

TYPE = types.REGISTERED
STATE_SECRET = "state_secret"

# The fields that rules, lists and pages need; the text stays in the ledger.
_KEPT = (
    *("origin_number", "channel", "received_at", "area", "title", "persons", "urgent"),
    *("content_category_1", "content_category_2", "content_category_3"),
    *("petition_class", "claim_path", "accused", "confidential", "litigation", "repeat_of"),
    "identity_digest",
)


def _not_secret(case: Case, fact: Fact) -> Violation | None:
    """Classified matters never travel here (docs/domain.md §8)."""
    if not fact.body.get("confidential"):
        return None
    return _secret()


def _secret() -> Violation:
    return Violation(
        STATE_SECRET,
        "confidential matters never travel here: handle this one outside the interconnect",
    )


def _not_at_the_accused(case: Case, fact: Fact) -> Violation | None:
    """Neither the registering office nor the centre, which gets every case, may be accused."""
    accused = fact.body.get("accused") or ()
    for node in (fact.emitter, NATIONAL):
        if is_barred(accused, node):
            return Violation(
                "accusation",
                f"node {node} is accused itself: this matter must not be registered here, hand "
                "it to the competent body outside the interconnect",
            )
    return None


def _corrects_what_can_be(case: Case, fact: Fact) -> Violation | None:
    for one in fact.body.get("corrections") or ():
        try:
            name, value = corrected(one["field"], one["value"])
        except Invalid as error:
            return Violation("correction", f"the correction cannot be made: {error}")
        if name == "confidential" and value:
            return _secret()
        if name == "accused":
            return _bars_more(case, value)
    return None


def _bars_more(case: Case, accused: list[str]) -> Violation | None:
    """The accused stay barred: they must not get later what was withheld from them."""
    if is_barred(accused, NATIONAL):
        return Violation(
            "accusation",
            "the centre gets every case: hand what accuses it to the competent body outside the "
            "interconnect",
        )
    known = case.registration.get("accused") or []
    if not known or not set(accused) <= set(known):
        return None
    return Violation(
        "accusation",
        f"case {case.case_id} accuses {', '.join(known)}: a correction can add to that and take "
        "nothing away; if it is wrong, withdraw the case and register it again",
    )


def _into_another(case: Case, fact: Fact) -> Violation | None:
    if fact.body.get("into") and fact.body["into"] != case.case_id:
        return None
    return Violation("same_case", f"case {case.case_id} cannot be merged into itself: name another")


def _register(case: Case, event: Event) -> None:
    case.registered_by = case.handled_by = event.emitter
    take_part(case, event.emitter)
    case.rule_set = event.rule_set
    kept = {name: event.body.get(name) for name in _KEPT}
    case.registration = {name: value for name, value in kept.items() if value not in (None, "", [])}


def _correct(case: Case, event: Event) -> None:
    for one in event.body.get("corrections") or ():
        name, value = corrected(one["field"], one["value"])
        if name == "accused":
            _accuse(case, value, event.occurred_at)
        elif name in _KEPT:
            case.registration[name] = value
    digest = event.body.get("identity_digest")
    if digest and digest != case.registration.get("identity_digest"):
        case.registration["identity_digest"] = digest
        case.finding = case.repeat_of = None  # another person: the centre decides again


def _accuse(case: Case, accused: list[str], at: int) -> None:
    """Add to the accused; if one of them is the handler, the centre takes the case over."""
    known = case.registration.get("accused") or []
    case.registration["accused"] = [*dict.fromkeys([*known, *accused])]
    if case.handled_by is None or not is_barred(accused, case.handled_by):
        return
    case.handled_by, case.dispatch, case.objection = NATIONAL, None, None
    if case.state in OPEN:
        case.enter(State.RETURNED, at)


def _merge(case: Case, event: Event) -> None:
    case.handled_by = None
    case.merged_into = event.body.get("into")


RULES = {
    TYPE: Rule(UNREGISTERED, (_not_secret, _not_at_the_accused), _register, State.REGISTERED),
    types.CORRECTED: Rule(ANY_REGISTERED, (by_participant, _corrects_what_can_be), _correct),
    types.WITHDRAWN: Rule(OPEN, (by_participant,), release, State.WITHDRAWN),
    types.MERGED: Rule(OPEN, (by_handler_or_centre, _into_another), _merge, State.MERGED),
}
