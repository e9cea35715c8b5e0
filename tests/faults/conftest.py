"""Fault tests break things on purpose, on the session's stack with its own databases."""

from collections.abc import Iterator

import pytest
from support.links import postgres_link
from support.proxy import Proxy

from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.runtime.settings import Settings


@pytest.fixture
def new_centre(new_nodes: LocalStack) -> Settings:
    """The centre, as if new."""
    return stack_settings("000000")


@pytest.fixture
def new_shandong(new_nodes: LocalStack) -> Settings:
    """Shandong, as if new."""
    return stack_settings("370000")


@pytest.fixture
def new_beijing(new_nodes: LocalStack) -> Settings:
    """Beijing, as if new."""
    return stack_settings("110000")


@pytest.fixture
def database_link(stack: LocalStack) -> Iterator[Proxy]:
    """A proxy in front of the stack's Postgres, up and passing everything."""
    with postgres_link(stack.postgres_dsn) as link:
        yield link
