"""Rebuilding 重建: projections anew from the ledger, compared, swapped in one transaction.

The node runs meanwhile. Read in the order `steps`, `shadow` (tables beside the live
ones, and the swap), `folding` (ledger → shadow tables), `comparing` (shadow against live).
"""

from __future__ import annotations

from node.rebuild.run import Progress, Rebuilt, rebuild

__all__ = ["Progress", "Rebuilt", "rebuild"]
