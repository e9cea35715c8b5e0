"""Reconciliation 对账: proving that two nodes hold the same events, or naming those that differ.

Either node may begin a round; the other answers. One exchange proves equality, at most two more
name what differs, and what is missing is sent again by its source:

    digests   →  256 digests of all shared events, and the cut 切面 at which they were taken
              ←  equal, or unsettled (too much is on its way), or
              ←  cases: of each bucket that differs, the digest of each case
    events    →  of each case that differs, the events held
              ←  findings: which events are missing here, which there; both sides send again
    concluded →  so that both show the same

What is on its way between the two belongs to neither side's loss: `cut` names it, `comparing` takes
it out. Files in that order: `messages` (what is said), `cut`, `shares` (which events of a case both
must hold), `comparing` (the one who answers), `driving` (the one who asks), `resending`, `results`,
and `worker`, which does all this by itself and also exchanges accounts and receipts.
"""
