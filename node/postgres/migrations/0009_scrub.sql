-- The scrub 校验: what was found when rows were recomputed from their bytes (docs/adr/0019).

-- Where the present pass 一轮校验 stands, so that it goes on after a restart, and when the last one ended.
create table scrub_state (
    only_row         boolean primary key default true check (only_row),
    last_case        text not null default '',  -- everything up to this case id was looked at
    began_at         timestamptz,               -- of the present pass; null between two passes
    events           bigint not null default 0, -- looked at in the present pass
    quarantined      bigint not null default 0, -- in the present pass, by the background worker
    complete_from    timestamptz,               -- the last complete pass: rows were as found
    complete_at      timestamptz,               -- at some time between these two instants
    complete_events  bigint not null default 0,
    read_own_topics  boolean not null default false -- own events are missing: read our topics again
);
insert into scrub_state default values;

-- What was wrong: open until it is healed. `event_id` is null where only the number is known.
create table scrub_finding (
    id        bigint generated always as identity primary key,
    kind      text not null,
    case_id   text not null,
    event_id  uuid,
    peer      text not null default '',
    detail    text not null,
    expected  bigint,                           -- how many events the case had, where some are missing
    found_at  timestamptz not null default now(),
    healed_at timestamptz,
    healed_by text
);
create unique index scrub_finding_open on scrub_finding
    (case_id, kind, peer, coalesce(event_id, '00000000-0000-0000-0000-000000000000')) where healed_at is null;

-- Rows that were taken out of the ledger, whole: evidence 证据. Never pruned by anybody.
create table quarantined_event (
    id             bigint generated always as identity primary key,
    event_id       uuid not null,
    case_id        text not null,
    reason         text not null,
    quarantined_at timestamptz not null default now(),
    columns        jsonb not null,              -- the row without its value
    value          bytea not null
);
create index quarantined_event_by_id on quarantined_event (event_id);

-- Events that the ledger had and lacks: when one comes back it was counted and passed on already.
create table lost_event (
    case_id          text not null,
    emitter          text not null,
    emitter_sequence bigint not null,
    event_id         uuid,                      -- null where nothing says it
    noticed_at       timestamptz not null default now(),
    primary key (case_id, emitter, emitter_sequence)
);

-- Cases to be looked at before all others: a peer or the relay has met something.
create table scrub_request (
    case_id      text primary key,
    requested_at timestamptz not null default now()
);
