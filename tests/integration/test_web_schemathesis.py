"""schemathesis against a live node: every answer is what the OpenAPI document promises."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import positive_data_acceptance
from support.web import served
from support.world import do, register

from node.runtime.settings import Settings

# Enough to meet each parameter with good and bad values; `make test` has two cores for all.
_EXAMPLES = 40
# What no schema can say: a cursor is one that was given, a period begins before it ends.
_BEYOND_SCHEMAS = {"after", "from", "to"}
_KEY = "Idempotency-Key"
_numbers = itertools.count()
_PATHS = "^/(v1/|healthz|readyz|openapi.json)"


@pytest.fixture
def api(fresh_settings: Callable[..., Settings]) -> Iterator[schemathesis.BaseSchema]:
    """The document of a live node that has a few cases."""
    beijing = fresh_settings("110000")
    for _ in range(3):
        do(beijing, "accept", case_id=register(beijing))
    with served(beijing) as base:
        document = schemathesis.openapi.from_url(f"{base}/openapi.json")
        document.config.generation.update(allow_x00=False)
        rejected = document.config.checks.negative_data_rejection
        rejected.expected_statuses = [*rejected.expected_statuses, "414"]  # too many parameters
        yield document


@pytest.mark.parametrize("mode", [*GenerationMode], ids=lambda mode: mode.value)
def test_every_answer_is_as_the_document_says(
    api: schemathesis.BaseSchema, mode: GenerationMode
) -> None:
    met = []
    for found in api.include(path_regex=_PATHS).get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        # Where nothing is asked for, nothing can be asked wrongly.
        if mode is GenerationMode.POSITIVE or operation.body or [*operation.query]:
            _ask(operation, mode)
            met.append(operation.label)
    assert "POST /v1/commands" in met
    assert len(met) >= 6


def test_a_real_case_is_as_the_document_says(api: schemathesis.BaseSchema) -> None:
    """Its id is nothing that generated requests would hit upon."""
    (item, *_) = api["/v1/cases"]["GET"].Case(query={"state": "accepted"}).call().json()["items"]
    place = {"case_id": item["case_id"]}
    for path in ("/v1/cases/{case_id}", "/v1/cases/{case_id}/events"):
        answer = api[path]["GET"].Case(path_parameters=place).call_and_validate()
        assert answer.status_code == 200
    period = {"from": "2020-01-01", "to": "2099-12-31"}
    answer = api["/v1/indicators"]["GET"].Case(query=period).call_and_validate()
    assert answer.json()["total"]["volumes"]["registration"]["cases"] == 3


def _ask(operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    def answers(case: Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE and _KEY in case.headers:
            case.headers[_KEY] += f" {next(_numbers)}"  # or it would belong to another request
        free = _BEYOND_SCHEMAS.isdisjoint(case.query or ())
        case.call_and_validate(
            timeout=20, excluded_checks=[] if free else [positive_data_acceptance]
        )

    answers()
