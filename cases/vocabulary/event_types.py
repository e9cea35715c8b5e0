"""The event types 事件类型, the values of `ce_type` (docs/contract.md §2, docs/domain.md §4)."""

from __future__ import annotations

REGISTERED = "petition.case.registered.v1"  # 登记
IDENTIFIED = "petition.case.identified.v1"  # 初次重复认定
MERGED = "petition.case.merged.v1"  # 并件
CORRECTED = "petition.case.corrected.v1"  # 更正
WITHDRAWN = "petition.case.withdrawn.v1"  # 撤回
FORWARDED = "petition.case.forwarded.v1"  # 转送
ASSIGNED = "petition.case.assigned.v1"  # 交办
COPIED = "petition.case.copied.v1"  # 抄送
LANDED = "petition.case.landed.v1"  # 落地接收
OBJECTED = "petition.case.objected.v1"  # 异议
OBJECTION_RULED = "petition.case.objection_ruled.v1"  # 异议裁定
DIVERTED = "petition.case.diverted.v1"  # 导入法定途径、移送
ACCEPTED = "petition.case.accepted.v1"  # 受理
NOT_ACCEPTED = "petition.case.not_accepted.v1"  # 不予受理
NO_LONGER_ACCEPTED = "petition.case.no_longer_accepted.v1"  # 不再受理
ACCEPTANCE_OVERRULED = "petition.case.acceptance_overruled.v1"  # 应受理未受理的纠正
PROGRESSED = "petition.case.progressed.v1"  # 办理进展
EXTENDED = "petition.case.extended.v1"  # 延期
DECIDED = "petition.case.decided.v1"  # 处理意见
SERVED = "petition.case.served.v1"  # 送达
CLOSED = "petition.case.closed.v1"  # 办结
REVIEW_REQUESTED = "petition.review.requested.v1"  # 申请复查
REVIEW_DECIDED = "petition.review.decided.v1"  # 复查意见
RECHECK_REQUESTED = "petition.recheck.requested.v1"  # 申请复核
RECHECK_DECIDED = "petition.recheck.decided.v1"  # 复核意见
SUPERVISION_ISSUED = "petition.supervision.issued.v1"  # 督办
SUPERVISION_REPLIED = "petition.supervision.replied.v1"  # 督办答复
SUPERVISION_LIFTED = "petition.supervision.lifted.v1"  # 解除督办
EVALUATED = "petition.evaluation.recorded.v1"  # 评价
EVALUATION_EXPIRED = "petition.evaluation.expired.v1"  # 逾期未评价
