"""The errors of the domain."""

from schemas.errors import PetitionLinkError


class UnknownNode(PetitionLinkError):
    """The node code is not that of the national centre or one of the 32 provinces."""

    def __init__(self, code: str) -> None:
        super().__init__(
            f"node {code!r} is unknown: use one of the 33 six-digit codes, for example 000000 "
            "(national), 110000 Beijing, 370000 Shandong, 660000 Xinjiang corps"
        )


class Refusal(PetitionLinkError):
    """The rules of petitions do not allow the command 不符合规定; nothing was changed.

    `rule` is a stable short name for programs, the message is for people.
    """

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule
