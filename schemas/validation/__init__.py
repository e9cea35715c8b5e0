"""Check records 校验: as JSON, before they are written, and after they are read."""
