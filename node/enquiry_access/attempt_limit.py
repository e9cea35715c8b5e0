"""Wrong attempts at the enquiry page 查询尝试: the guesser is limited, never the petitioner.

An address that was wrong too often in an hour is not answered for a while. A case is never
closed, whoever tries whatever at it: the right code opens it from any address that is not itself
over its limit. Guessing gains nothing from many addresses: checks of codes are so slow that all of
a process's, day and night, find one of 2**60 codes within a year at a chance of one in
10**8 (docs/enquiry.md). How often a case was tried is counted only to tell its office.

An attempt is charged before the code is looked at and given back when it was right, so that many
at once, in several processes, cannot pass the limit together. Cases that do not exist are counted
like all others. Subjects stand in the table as keyed digests only.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
from typing import Final, NamedTuple

from node.postgres.connection import Cursor

log = logging.getLogger(__name__)

# Who copies his own code from paper is right within a few tries: then somebody else is trying.
CASE_ALERT_AN_HOUR: Final = 10
# A family or a village office behind one address; a robot gains nothing at this rate.
ADDRESS_FAILURES_AN_HOUR: Final = 30
# An IPv6 host has a whole /64 for itself.
_IPV6_PREFIX: Final = 64

_CHARGE = """
    insert into enquiry_attempt (kind, subject, window_start, failures)
    values (%(kind)s, %(subject)s, date_bin('10 minutes', now(), 'epoch'), 1)
    on conflict (kind, subject, window_start)
        do update set failures = enquiry_attempt.failures + 1
    returning window_start, failures = 1
"""
_WITHIN_THE_HOUR = """
    select coalesce(sum(failures), 0)::integer from enquiry_attempt
    where kind = %(kind)s and subject = %(subject)s and window_start > now() - interval '1 hour'
"""
_GIVE_BACK = """
    update enquiry_attempt set failures = failures - 1
    where kind = %(kind)s and subject = %(subject)s and window_start = %(window)s
"""
# Nobody waits for a row that another process is deleting.
_FORGET = """
    delete from enquiry_attempt where (kind, subject, window_start) in (
        select kind, subject, window_start from enquiry_attempt
        where window_start < now() - interval '70 minutes'
        limit 1000 for update skip locked)
"""


class Charge(NamedTuple):
    """One attempt that was counted; `allowed` is False if its address was wrong too often."""

    allowed: bool
    counted: tuple[dict[str, object], ...] = ()


def charge(cursor: Cursor, key: bytes, case_id: str, address: str) -> Charge:
    """Count an attempt from `address` at `case_id`; what is over the limit is not counted again.

    So the limit is lifted an hour after the last attempt that was allowed, whatever came after it.
    """
    host, failures = _counted(cursor, _subject(key, "address", network_of(address)))
    if failures > ADDRESS_FAILURES_AN_HOUR:
        _give_back(cursor, host)
        return Charge(allowed=False)
    case, failures = _counted(cursor, _subject(key, "case", case_id))
    if failures == CASE_ALERT_AN_HOUR + 1:
        log.warning("case number %s: %d wrong query codes within an hour", case_id, failures - 1)
    return Charge(True, (host, case))


def give_back(cursor: Cursor, charged: Charge) -> None:
    """The attempt was right: it does not count."""
    for one in charged.counted:
        _give_back(cursor, one)


def network_of(address: str) -> str:
    """The address as it is counted: an IPv6 host by its /64; anything odd as it stands."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
    return str(parsed)


def _counted(cursor: Cursor, subject: dict[str, object]) -> tuple[dict[str, object], int]:
    """The row that was counted up, and how many there are within the hour."""
    cursor.execute(_CHARGE, subject)
    window, is_new = cursor.fetchone() or (None, False)
    if is_new:
        cursor.execute(_FORGET)
    cursor.execute(_WITHIN_THE_HOUR, subject)
    (failures,) = cursor.fetchone() or (0,)
    return {**subject, "window": window}, failures


def _give_back(cursor: Cursor, one: dict[str, object]) -> None:
    cursor.execute(_GIVE_BACK, one)


def _subject(key: bytes, kind: str, text: str) -> dict[str, object]:
    digest = hmac.new(key, f"{kind}|{text}".encode(), hashlib.sha256).digest()
    return {"kind": kind, "subject": digest}
