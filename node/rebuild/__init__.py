"""Rebuild 重建 the projections from the ledger while the node runs (docs/rebuild.md)."""
