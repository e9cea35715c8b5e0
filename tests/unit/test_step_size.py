"""The size of a step under a time limit: halved down to one row, and back after a while."""

from node.runtime.adaptive_batch import StepSize


def test_a_step_is_halved_down_to_one_row_and_comes_back() -> None:
    size = StepSize("test", 100)
    sizes = []
    for _ in range(8):
        size.too_slow(size.now)
        sizes.append(size.now)
    assert sizes == [50, 25, 12, 6, 3, 1, 1, 1]
    for _ in range(1_000):
        size.succeeded()
    assert size.now == 100


def test_a_small_step_that_was_too_slow_counts_and_not_what_was_allowed() -> None:
    size = StepSize("test", 10_000)
    size.too_slow(8)
    assert size.now == 4
