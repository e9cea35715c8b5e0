"""The scrub 校验: recompute every digest and every projection from the bytes that are there.

Digests are kept beside the rows and written with them, so comparing kept digests proves nothing
about rows that changed later. The scrub reads the rows themselves. Read the files in this order:

    rows         one ledger row: does its value match its digest, its columns, its body?
    sums         the rows of a case against the kept digests: is one missing, is one too many?
    projections  the fold of the bytes against `petition_case` and its facet tables
    verifier     the three together, for some cases in one snapshot
    healing      what is done about a finding, in one transaction for each case
    findings     the table of findings; `position`, where the present pass stands
    restoring    an event that the ledger had lost comes back
    ledger_pass  one pass over the ledger at a rate; `worker` runs it in the background
"""
