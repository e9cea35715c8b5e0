"""Observing many values at once gives what observing each gives."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from consumers.outcomes import observe_all

BOUNDS = (0.005, 0.1, 1, 86400)


def histogram() -> Histogram:
    return Histogram("seconds", "…", registry=CollectorRegistry(), buckets=BOUNDS)


@given(st.lists(st.integers(0, 400_000).map(lambda n: n / 4) | st.sampled_from(BOUNDS)))
def test_many_at_once_are_as_one_by_one(values: list[float]) -> None:
    together, apart = histogram(), histogram()
    observe_all(together, values)
    for value in values:
        apart.observe(value)

    def samples(one: Histogram) -> list[tuple[str, str, float]]:
        (family,) = one.collect()
        return [
            (sample.name, sample.labels.get("le", ""), round(sample.value, 6))
            for sample in family.samples
            if not sample.name.endswith("_created")
        ]

    assert samples(together) == samples(apart)
