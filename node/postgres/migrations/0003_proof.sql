-- Proof 核对: digests of what two nodes share, accounts of what flowed between them, receipts.

-- The first eight bytes of sha256(event id, value): what a digest of several events is made of.
alter table case_event add column digest bigint not null default 0;
update case_event set digest =
    ('x' || encode(substring(sha256(uuid_send(event_id) || value) for 8), 'hex'))::bit(64)::bigint;

-- What this node and `peer` must both hold of a case 个案摘要: how many events, and the exclusive
-- or of their digests. Written with the events, so it is always in step with the ledger.
create table case_digest (
    peer    text not null,
    case_id text not null,
    bucket  integer not null,                   -- the first byte of md5(case id)
    events  integer not null,
    digest  bigint not null,
    primary key (peer, case_id)
) with (                                        -- room for updates in place, as in petition_case
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000
);
create index case_digest_by_bucket on case_digest (peer, bucket);

-- The same for 256 buckets of cases 分桶摘要. Writers only append to `digest_change`, so that they
-- never wait for each other; one process of the node folds the changes into the buckets.
create table digest_bucket (
    peer   text not null,
    bucket integer not null,
    events bigint not null,
    digest bigint not null,
    primary key (peer, bucket)
);
create table digest_change (
    peer   text not null,
    bucket integer not null,
    events integer not null,
    digest bigint not null
) with (                                        -- emptied every few seconds
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, vacuum_truncate = off
);

-- Events of a case that its participant is not to have 不予转发: the accused, secrets.
create table withheld_event (
    case_id     text not null,
    event_id    uuid not null,
    destination text not null,
    primary key (case_id, event_id, destination)
);

-- The account 收支 of each topic by the day (UTC+8) on which its events were recorded. The sender
-- fills in the first two columns, the receiver the others; folded as the digests are.
create table flow_day (
    topic         text not null,
    day           date not null,
    committed     bigint not null default 0,    -- outbox rows, resends apart
    published     bigint not null default 0,    -- … of which the broker has acknowledged
    received      bigint not null default 0,
    applied       bigint not null default 0,    -- new to the ledger
    duplicates    bigint not null default 0,
    recovered     bigint not null default 0,    -- own events that came home
    dead_lettered bigint not null default 0,
    primary key (topic, day)
);
create table flow_change (
    topic         text not null,
    day           date not null,
    committed     integer not null default 0,
    published     integer not null default 0,
    received      integer not null default 0,
    applied       integer not null default 0,
    duplicates    integer not null default 0,
    recovered     integer not null default 0,
    dead_lettered integer not null default 0
) with (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, vacuum_truncate = off
);
-- What the node at the other end says of its side of a topic.
create table flow_report (
    topic         text not null,
    day           date not null,
    committed     bigint not null default 0,
    published     bigint not null default 0,
    received      bigint not null default 0,
    applied       bigint not null default 0,
    duplicates    bigint not null default 0,
    dead_lettered bigint not null default 0,
    unaccounted   bigint not null default 0,    -- as the sender works it out
    reported_at   timestamptz not null,
    primary key (topic, day)
);

-- Receipts 回执: by `applied_at` the receiver had durably applied everything below `next_offset`.
create table receipt (
    topic       text not null,
    partition   integer not null,
    next_offset bigint not null,
    applied_at  timestamptz not null,
    primary key (topic, partition, next_offset)
);
-- Where the receiver stands, by its latest account; a restored database sets it back.
create table peer_position (
    topic       text not null,
    partition   integer not null,
    next_offset bigint not null,
    primary key (topic, partition)
);
-- How far this node has read its own topics: behind it may stand what a restored backup lacks.
create table own_position (
    topic       text not null,
    partition   integer not null,
    next_offset bigint not null,
    primary key (topic, partition)
);
-- Dead letters at the receiver, open or discarded, of what this node sent.
create table reported_dead_letter (
    topic     text not null,
    partition integer not null,
    "offset"  bigint not null,
    reason    text not null,
    primary key (topic, partition, "offset")
);

alter table outbox
    -- The day on which the event was recorded, as in flow_day.
    add column day date not null default (now() at time zone 'Asia/Shanghai')::date,
    -- Sent once more 补发 because the receiver lacked it; counted when it was first committed.
    add column resent boolean not null default false;
update outbox set day = (e.recorded_at at time zone 'Asia/Shanghai')::date
    from case_event e where e.event_id = outbox.event_id;
-- What a receipt covers, and what is still on its way.
create index outbox_by_offset on outbox (topic, partition, "offset") where published_at is not null;

-- The last word on each peer 核对结果.
create table reconciliation (
    peer             text primary key,
    checked_at       timestamptz not null,
    last_success_at  timestamptz,
    mismatched_cases integer not null default 0,
    findings         jsonb not null default '[]'  -- [[case id, events missing here, … there], …]
);

-- How this node stands 节点自身: while it is recovering, its own events may come home.
create table node_state (
    only_row         boolean primary key default true check (only_row),
    recovering_since timestamptz
);
insert into node_state default values;

-- The identity of each topic as it was first read: one that was deleted and made anew has another.
alter table consumer_offset add column topic_id uuid;

-- What databases of an earlier release hold is taken into the digests and accounts.
do $$
declare
    own text;
begin
    select node into own from node_identity;
    if own is null then
        return;
    end if;
    insert into case_digest
    select peer, case_id, get_byte(decode(md5(case_id), 'hex'), 0), count(*), bit_xor(digest)
    from (
        select case when own <> '000000' then '000000' else emitter end as peer, case_id, digest
        from case_event where own <> '000000' or emitter <> '000000'
        union all
        select right(owed.topic, 6), e.case_id, e.digest
        from (select distinct topic, event_id from outbox where own = '000000') owed
        join case_event e using (event_id)
    ) shared
    group by peer, case_id;
    insert into digest_bucket
    select peer, bucket, sum(events), bit_xor(digest) from case_digest group by peer, bucket;
    insert into flow_day (topic, day, committed, published)
    select topic, day, count(*), count(published_at) from outbox group by topic, day;
    insert into flow_day (topic, day, received, applied)
    select source_topic, (recorded_at at time zone 'Asia/Shanghai')::date, count(*), count(*)
    from case_event where source_topic is not null group by 1, 2
    on conflict (topic, day) do update set received = excluded.received, applied = excluded.applied;
end $$;
