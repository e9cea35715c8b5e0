"""A limit of wrong attempts at the enquiry page 查询尝试, which never locks a petitioner out.

An address with too many wrong attempts in an hour is not answered for a while. A case is never
locked: the right code opens it from any address that is below its limit. Many addresses do not
help to guess: checks are so slow that a process, in a year, finds one of 2**60 codes with a chance
of one in 10**8 (docs/enquiry.md). Attempts at a case are counted only to tell its office.

An attempt is charged before the code is checked and refunded if it was right, so that concurrent
attempts cannot exceed the limit together. Cases that do not exist are counted like all others. The
table holds only keyed digests of addresses and cases.
"""

import hashlib
import hmac
import ipaddress
import logging
from typing import Final, NamedTuple

from node.postgres.connection import Cursor
from node.postgres.statements import read_value

log = logging.getLogger(__name__)

# A petitioner copies the code from paper within a few tries; more are somebody else's.
CASE_ALERT_AN_HOUR: Final = 10
# Enough for a family or a village office that shares an address, and too few for a robot.
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
# It skips rows that another process is deleting.
_FORGET = """
    delete from enquiry_attempt where (kind, subject, window_start) in (
        select kind, subject, window_start from enquiry_attempt
        where window_start < now() - interval '70 minutes'
        limit 1000 for update skip locked)
"""


class Charge(NamedTuple):
    """A counted attempt; `allowed` is False if its address is over the limit."""

    allowed: bool
    counted: tuple[dict[str, object], ...] = ()


def charge(cursor: Cursor, key: bytes, case_id: str, address: str) -> Charge:
    """Count an attempt from `address` at `case_id`, unless it is over the limit.

    So the limit is lifted an hour after the last attempt that was allowed.
    """
    host, failures = _counted(cursor, _subject(key, "address", network_of(address)))
    if failures > ADDRESS_FAILURES_AN_HOUR:
        cursor.execute(_GIVE_BACK, host)
        return Charge(allowed=False)
    case, failures = _counted(cursor, _subject(key, "case", case_id))
    if failures == CASE_ALERT_AN_HOUR + 1:
        log.warning("case number %s: %d wrong query codes within an hour", case_id, failures - 1)
    return Charge(True, (host, case))


def give_back(cursor: Cursor, charged: Charge) -> None:
    """Take the counts of an attempt back, because it was right."""
    for row in charged.counted:
        cursor.execute(_GIVE_BACK, row)


def network_of(address: str) -> str:
    """Return the address as it is counted: an IPv6 host by its /64, an invalid address as it is."""
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
    """Increment the row of `subject`; return its key, and the failures within the hour."""
    cursor.execute(_CHARGE, subject)
    window, is_new = cursor.fetchone() or (None, False)
    if is_new:
        cursor.execute(_FORGET)
    return {**subject, "window": window}, read_value(cursor, _WITHIN_THE_HOUR, subject)


def _subject(key: bytes, kind: str, text: str) -> dict[str, object]:
    digest = hmac.new(key, f"{kind}|{text}".encode(), hashlib.sha256).digest()
    return {"kind": kind, "subject": digest}
