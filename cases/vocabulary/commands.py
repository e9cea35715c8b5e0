"""The commands 指令: the imperative name of each, and the event that it becomes."""

from cases.errors import Refusal
from cases.vocabulary import event_types as types

COMMANDS: dict[str, str] = {
    "register": types.REGISTERED,  # 登记
    "identify": types.IDENTIFIED,  # 认定初次、重复
    "merge": types.MERGED,  # 并件
    "correct": types.CORRECTED,  # 更正
    "withdraw": types.WITHDRAWN,  # 撤回
    "forward": types.FORWARDED,  # 转送
    "assign": types.ASSIGNED,  # 交办
    "copy": types.COPIED,  # 抄送
    "land": types.LANDED,  # 落地接收
    "object": types.OBJECTED,  # 提出异议
    "rule_objection": types.OBJECTION_RULED,  # 裁定异议
    "divert": types.DIVERTED,  # 导入法定途径、移送
    "accept": types.ACCEPTED,  # 受理
    "not_accept": types.NOT_ACCEPTED,  # 不予受理
    "no_longer_accept": types.NO_LONGER_ACCEPTED,  # 不再受理
    "overrule": types.ACCEPTANCE_OVERRULED,  # 纠正应受理未受理
    "progress": types.PROGRESSED,  # 报告进展
    "extend": types.EXTENDED,  # 延期
    "decide": types.DECIDED,  # 出具处理意见
    "serve": types.SERVED,  # 送达
    "close": types.CLOSED,  # 办结
    "request_review": types.REVIEW_REQUESTED,  # 申请复查
    "decide_review": types.REVIEW_DECIDED,  # 出具复查意见
    "request_recheck": types.RECHECK_REQUESTED,  # 申请复核
    "decide_recheck": types.RECHECK_DECIDED,  # 出具复核意见
    "supervise": types.SUPERVISION_ISSUED,  # 督办
    "reply_supervision": types.SUPERVISION_REPLIED,  # 答复督办
    "lift_supervision": types.SUPERVISION_LIFTED,  # 解除督办
    "evaluate": types.EVALUATED,  # 评价
    "expire_evaluation": types.EVALUATION_EXPIRED,  # 评价期满
}


def event_type_of(command: str) -> str:
    """Return the type of event that `command` becomes; raise `Refusal` for an unknown command."""
    try:
        return COMMANDS[command]
    except KeyError:
        problem = f"command {command[:40]!r} is unknown: use {', '.join(COMMANDS)}"
        raise Refusal("unknown_command", problem) from None
