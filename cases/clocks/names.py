"""The clocks 时限 by name, and the groups that events start and end together."""

DISPOSAL = "D01"  # 登记并转送、交办或答复
TIER = "D01a"  # 国家信访局登记事项的逐级转送
LANDING = "D02"  # 落地接收
ACCEPTANCE = "D03"  # 受理告知
OBJECTION = "D05"  # 异议
REPLY = "D06"  # 办结
EXTENSION = "D07"  # 延期办结
REVIEW_REQUEST = "D08"  # 申请复查
REVIEW = "D09"  # 复查意见
RECHECK_REQUEST = "D10"  # 申请复核
RECHECK = "D11"  # 复核意见
REPORT = "D12"  # 交办反馈
SUPERVISION = "D13"  # 督办反馈
SIMPLE_REPLY = "D14"  # 简易办理
EVALUATION = "D16"  # 评价

DISPOSALS = frozenset({DISPOSAL, TIER})
ARRIVALS = frozenset({TIER, LANDING, ACCEPTANCE, OBJECTION})
REPLIES = frozenset({REPLY, EXTENSION, SIMPLE_REPLY})
WINDOWS = frozenset({REVIEW_REQUEST, RECHECK_REQUEST, EVALUATION})
ALL = DISPOSALS | ARRIVALS | REPLIES | WINDOWS | {REVIEW, RECHECK, REPORT, SUPERVISION}
