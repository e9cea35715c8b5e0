-- The node's own tables 节点数据表. Forward only: a released file is never edited, a new one follows.

-- Whose database this is: a process of another node must not write here.
create table node_identity (
    only_row boolean primary key default true check (only_row),
    node     text not null
);

-- The ledger 事件账: a set of events. `value` keeps the bytes as they travelled, so that an
-- event is passed on byte for byte; `body` is the same payload, readable by SQL.
create table case_event (
    event_id         uuid primary key,          -- UUIDv7: rows arrive nearly in index order
    case_id          text not null,
    event_type       text not null,
    version          bigint not null,           -- Lamport number within the case
    emitter          text not null,
    emitter_sequence bigint not null,           -- gapless per case and emitter, from 1
    occurred_at      timestamptz not null,      -- when it happened
    recorded_at      timestamptz not null,      -- when the emitter wrote it down
    exchanged_at     timestamptz,               -- when it was applied here; null for own events
    actor            text not null,
    rule_set         text not null,
    body             jsonb not null,
    value            bytea not null,
    traceparent      text not null,
    extra_headers    jsonb,                     -- [[name, base64]], only if not the standard ones
    source_topic     text,                      -- where it came from; null for own events
    source_partition integer,
    source_offset    bigint
);
-- The order in which a case is folded.
create index case_event_in_fold_order on case_event (case_id, version, emitter, event_id);

-- The projection 信访件: what the fold of a case's events gives, for queries.
-- `fold` is the whole result; the columns repeat what is searched for.
create table petition_case (
    case_id            text primary key,
    state              text not null,
    registered_by      text,
    handled_by         text,                    -- null: nobody is responsible
    participants       text[] not null,
    channel            text,
    title              text,
    area               text,
    content_category_1 text,
    received_at        timestamptz,
    registered_at      timestamptz,
    version            bigint not null,
    conflicts          integer not null,
    incomplete         boolean not null,
    revision           bigint not null,         -- counts writes of this row
    fold               jsonb not null
) with (fillfactor = 80);                       -- room for updates in place
create index petition_case_incomplete on petition_case (case_id) where incomplete;

-- To whom the centre has begun to send a case's events.
create table case_route (
    case_id     text not null,
    destination text not null,
    primary key (case_id, destination)
);

-- The outbox 发件箱: one row per event and destination. The bytes stay in the ledger.
create table outbox (
    id           bigint generated always as identity primary key,
    topic        text not null,
    case_id      text not null,
    event_id     uuid not null,
    enqueued_at  timestamptz not null default now(),
    published_at timestamptz,                   -- when the broker's acknowledgement was marked
    partition    integer,
    "offset"     bigint
);
create index outbox_pending on outbox (topic, id) where published_at is null;
create index outbox_by_event on outbox (event_id);

-- The next offset to apply, written in the transaction that applies the records before it.
create table consumer_offset (
    topic       text not null,
    partition   integer not null,
    next_offset bigint not null,
    updated_at  timestamptz not null default now(),
    primary key (topic, partition)
) with (fillfactor = 50);

-- Dead letters 死信: records that could not be applied, with their original bytes.
create table dead_letter (
    id          bigint generated always as identity primary key,
    topic       text not null,
    partition   integer not null,
    "offset"    bigint not null,
    record_key  bytea,
    value       bytea,
    headers     jsonb not null,                 -- [[name, base64]]
    recorded_at timestamptz not null,           -- the record's timestamp on the topic
    reason      text not null,                  -- a code, see docs/dead-letters.md
    detail      text not null,
    status      text not null default 'open' check (status in ('open', 'replayed', 'discarded')),
    created_at  timestamptz not null default now(),
    unique (topic, partition, "offset")
);
create index dead_letter_open on dead_letter (reason) where status = 'open';

-- Rows of registers that were imported: (source, origin_number) is the row's identity.
create table imported_row (
    source         text not null,
    origin_number  text not null,
    case_id        text not null,
    content_digest text not null,
    imported_at    timestamptz not null default now(),
    primary key (source, origin_number)
);
