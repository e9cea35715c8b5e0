"""Reconciliation 对账 proves that two nodes hold the same events, or names those that differ.

Either node may begin a round; the other answers. One exchange proves equality, at most two more
name what differs, and its source sends again what is missing:

    digests   →  256 digests of all shared events, and the cut 切面 at which they were taken
              ←  equal, or unsettled (too much is on its way), or
              ←  cases: of each bucket that differs, the digest of each case
    events    →  of each case that differs, the events held
              ←  findings: which events are missing here, which there; both sides send again
    concluded →  so that both show the same

What is on its way between the two is not missing: `consistent_cut` lists it, and `responder` takes
it out. The files in that order: `protocol` (the messages), `consistent_cut`, `shared_events` (of a
case, those that both must hold), `responder`, `initiator`, `resend`, `results`, and `worker`, which
does all this on a schedule and also exchanges accounts and receipts.
"""
