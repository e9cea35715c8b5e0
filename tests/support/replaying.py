"""Dead letters of Shandong in tests, and their replay."""

from support.cli import Done, as_environment, in_process

from consumers.admin.replay import replay
from node.kafka.topic_names import downlink
from node.postgres.connection import connected
from node.runtime.settings import Settings
from schemas.instants import now_micros

SHANDONG, CENTRE = "370000", "000000"
TOPIC = downlink(SHANDONG)
CASE = "110000-20260401-7K3M9QXA"


def replayed(settings: Settings, id_: int) -> str:
    """Replay a letter; return the result."""
    with connected(settings.dsn, "test") as connection:
        return replay(connection, settings.node, id_, settings.actor, now_micros()).result


def command(settings: Settings, *arguments: str, output: str = "json") -> Done:
    """`petitionlink deadletters …` at the node."""
    return in_process("deadletters", *arguments, "--format", output, settings=given(settings))


def given(settings: Settings) -> dict[str, str]:
    return as_environment(settings) | {"PETITIONLINK_ACTOR": settings.actor}
