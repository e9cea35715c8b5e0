"""The API 接口 under /v1: commands, cases, events, indicators, status; health beside it."""
