"""The scrub 校验 recomputes every digest and every projection from the bytes of the ledger.

Digests are stored beside the rows and written with them, so they prove nothing about rows that
changed later. The scrub reads the rows themselves (docs/reconciliation.md).
"""
