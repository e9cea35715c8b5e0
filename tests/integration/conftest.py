"""Offices with an empty database, for every test that needs no more of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from node.localstack import LocalStack
from node.runtime.settings import Settings


@pytest.fixture
def beijing(fresh_settings: Callable[..., Settings]) -> Settings:
    """Beijing with an empty database."""
    return fresh_settings("110000")


@pytest.fixture
def shandong(fresh_settings: Callable[..., Settings]) -> Settings:
    """Shandong with an empty database."""
    return fresh_settings("370000")


@pytest.fixture
def centre(fresh_settings: Callable[..., Settings]) -> Settings:
    """The national node with an empty database."""
    return fresh_settings("000000")


@pytest.fixture
def province_with_topics(empty_topics: LocalStack, shandong: Settings) -> Settings:
    """Shandong with an empty database; nothing of other tests is in the topics."""
    return shandong


@pytest.fixture
def centre_with_topics(empty_topics: LocalStack, centre: Settings) -> Settings:
    """The national node with an empty database; nothing of other tests is in the topics."""
    return centre
