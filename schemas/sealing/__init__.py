"""Seal the petitioner's personal data 密封 for named nodes; no other node can read it."""
