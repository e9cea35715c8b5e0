"""Commands 指令: the imperative name of each, and the event it becomes."""

from __future__ import annotations

from cases import event_types as types
from cases.errors import Refusal

COMMANDS: dict[str, str] = {
    "register": types.REGISTERED,  # 登记
    "forward": types.FORWARDED,  # 转送
    "assign": types.ASSIGNED,  # 交办
    "copy": types.COPIED,  # 抄送
    "land": types.LANDED,  # 落地接收
    "accept": types.ACCEPTED,  # 受理
    "decide": types.DECIDED,  # 出具处理意见
    "serve": types.SERVED,  # 送达
    "close": types.CLOSED,  # 办结
    "evaluate": types.EVALUATED,  # 评价
}


def event_type_of(command: str) -> str:
    """The type of event that `command` becomes; `Refusal` if there is no such command."""
    try:
        return COMMANDS[command]
    except KeyError:
        known = ", ".join(COMMANDS)
        raise Refusal("unknown_command", f"command {command!r} is unknown: use {known}") from None
