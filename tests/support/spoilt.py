"""Checks of commands that go wrong in tests: they print nothing, or JSON."""

import json

from support.cli import Done

SHANDONG, BEIJING, NOT_IN_THE_STACK = "370000", "110000", "440000"
Environment = dict[str, str]


def silent(done: Done) -> Done:
    assert done.out == ""
    return done


def json_or_silent(done: Done) -> Done:
    assert done.out == "" or json.loads(done.out)
    return done
