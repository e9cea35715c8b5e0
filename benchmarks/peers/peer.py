"""What a peer 同类 is: something else that brings the same topic into the same Postgres."""

from typing import Protocol

from node.localstack import LocalStack


class Peer(Protocol):
    """One way that somebody could choose instead of our consumer."""

    @property
    def name(self) -> str:
        """As the table calls it."""

    @property
    def about(self) -> str:
        """What a reader must know to judge its figure: how it was tuned, what it leaves out."""

    @property
    def versions(self) -> str:
        """The pinned versions of what it is made of."""

    def install(self) -> None:
        """Bring it into `.local/peers`; quick when it is there already.

        Raises `PetitionLinkError` if it cannot be had, for want of the network say.
        """

    def run(self, stack: LocalStack, topic: str, events: int) -> float:
        """Events per second, from the beginning of `topic` into a fresh table.

        `events` is how many the topic holds. Raises `PetitionLinkError` if other rows arrive.
        """
