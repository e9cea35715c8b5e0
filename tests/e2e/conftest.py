"""End-to-end tests start real processes on the session's stack, with its own databases."""

from __future__ import annotations

import pytest
from support.ledgers import forget_everything

from node.localstack import LocalStack


@pytest.fixture
def new_nodes(stack: LocalStack) -> LocalStack:
    """The stack, its nodes as if new."""
    forget_everything(stack)
    return stack
