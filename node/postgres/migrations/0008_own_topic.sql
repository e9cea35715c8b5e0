-- The own topic 自有主题 (docs/adr/0021) and the gate of commands (docs/adr/0022).

create table own_topic_state (
    only_row           boolean primary key default true check (only_row),
    -- The gate: for which database, and since which start of Postgres, it is known that this database
    -- is not behind the node's own topics. Null, or another database: commands are refused.
    confirmed_database text,
    confirmed_start    timestamptz,
    confirmed_at       timestamptz,
    -- The database that is not confirmed yet, and when this node first met it.
    seen_database      text,
    seen_at            timestamptz,
    -- The start of Postgres after which Kafka could not be asked: then the same database is trusted.
    kafka_away_start   timestamptz,
    -- The backfill: own events of the cases after this id still have to be put into the outbox for
    -- the own topic; null: nothing is left to be done.
    backfill_after     text,
    backfill_began     timestamptz not null default now(),
    topic_id           uuid                     -- Kafka's identity of the own topic
);
-- What an older release of the centre emitted stands on no topic of its own yet. A province's own
-- topic is its uplink, which has had every event from the beginning.
insert into own_topic_state (backfill_after)
select (select '' from node_identity where node = '000000');
