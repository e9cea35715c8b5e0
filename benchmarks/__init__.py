"""What the product takes 性能测量: each figure on real Kafka and Postgres, beside its reference.

`python -m benchmarks` or `make bench`. In the order of a run:

- `__main__`       what runs, how often, and where the result goes
- `home`           a stack of its own, emptied between runs, and the node processes on it
- `texts`          invented prose; `registers` and `events` make rows and events of it
- `import_rate`    register → ledger, case, outbox
- `catch_up`       topic → ledger, case, offset; its reference is `limit`, the same rows by psql
- `relay_rate`     outbox → topic; its reference is the client library's producer alone
- `latency`        command committed → row visible elsewhere; `watcher` looks from outside
- `pace`           events per second from the first to the last commit, seen from outside
- `comparison`   our consumer against its `peers` on one topic
- `figures`, `machine`, `report`, `chart`: medians, ratios and goals, what they were measured on,
  RESULTS.md and docs/throughput.svg
"""
