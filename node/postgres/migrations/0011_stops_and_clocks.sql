-- Partitions that the consumer cannot read on 停止的分区, and why; a row goes when it flows again.
create table stopped_partition (
    topic     text not null,
    partition integer not null,
    reason    text not null,
    detail    text not null,
    since     timestamptz not null default now(),
    primary key (topic, partition)
);

-- The clock 时钟: by how much Postgres's is ahead of the broker's, and when that was measured (by
-- Postgres's clock). Every process compares its own clock with Postgres's, and so with the broker's.
alter table node_state
    add column database_ahead_micros bigint,
    add column clock_measured_at timestamptz;

-- Events whose dates were implausible when they arrived 时间存疑. They are kept and applied as they
-- are; the row says what was seen, by a clock that was known to be right.
create table implausible_time (
    event_id uuid primary key,
    detail   text not null,
    seen_at  timestamptz not null default now()
);
