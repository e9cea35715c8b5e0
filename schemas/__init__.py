"""The data between nodes 线上格式: schemas, wire format, headers, the sealed petitioner."""
