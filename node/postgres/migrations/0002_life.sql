-- A case's whole life 全流程: what lists, deadlines, indicators and pages ask for.

-- The feed 事件流水 in commit order: below the oldest running transaction nothing can still appear.
alter table case_event
    add column applied_xid xid8 not null default pg_current_xact_id(),
    add column feed_id     bigint generated always as identity;
create index case_event_in_feed_order on case_event (applied_xid, feed_id);
-- Rates of the last minutes: rows lie in the order of their arrival, so a few bytes a page suffice.
create index case_event_by_arrival on case_event using brin (exchanged_at) with (pages_per_range = 16);
-- The same for what went out, row by row as the broker acknowledged it.
create index outbox_by_publication on outbox using brin (published_at)
    with (pages_per_range = 16, autosummarize = on);

alter table petition_case
    add column content_category_2 text,
    add column content_category_3 text,
    add column petition_class     text,
    add column claim_path         text,
    add column rule_set           text,
    add column persons            integer,
    add column urgent             boolean,
    add column finding            text,              -- first 初次, repeat 重复; null: not decided
    add column repeat_of          text,
    add column is_group           boolean,           -- 集体访: five persons or more
    add column identity_digest    text,
    add column outcome            text,
    add column accepted_at        timestamptz,
    add column decided_at         timestamptz,
    add column served_at          timestamptz,
    add column closed_at          timestamptz,
    add column exchanged_at       timestamptz;       -- when the case first crossed to this node; null: made here
-- The three dates by which cases are counted; what indicators need is in the index, so that a
-- year is counted without the wide rows (docs/query-plans.md).
create index petition_case_by_registration on petition_case (registered_at desc, case_id desc)
    include (registered_by, handled_by, finding, channel, persons, accepted_at, decided_at, received_at);
create index petition_case_by_petition on petition_case (received_at)
    include (registered_by, channel, persons);
create index petition_case_by_exchange on petition_case (exchanged_at)
    include (registered_by, channel, persons) where exchanged_at is not null;
create index petition_case_repeat on petition_case (case_id) where finding = 'repeat';
create index petition_case_by_state on petition_case (state, registered_at desc, case_id desc);
create index petition_case_by_handler on petition_case (handled_by, registered_at desc, case_id desc);
create index petition_case_by_registrar on petition_case (registered_by, registered_at desc, case_id desc);
-- Filters that may match little; without them a list would look through every case. Areas are
-- asked for by their first digits too.
create index petition_case_by_area on petition_case (area text_pattern_ops, registered_at desc, case_id desc);
create index petition_case_by_category on petition_case (content_category_1, registered_at desc, case_id desc);
create index petition_case_by_channel on petition_case (channel, registered_at desc, case_id desc);
create index petition_case_by_identity on petition_case (identity_digest) where identity_digest is not null;
create index petition_case_unidentified on petition_case (case_id)
    where finding is null and registered_by is not null;
create index petition_case_unhandled on petition_case (state) where handled_by is null;
create index petition_case_in_conflict on petition_case (case_id) where conflicts > 0;

-- Deadlines 时限: one row for each clock that an event started. The owner computed it once.
create table case_clock (
    case_id     text not null,
    clock       text not null,                       -- D01 … D16
    event_id    uuid not null,                       -- the event that started it
    owner       text not null,                       -- the node whose duty or right it is
    started_at  timestamptz not null,
    due_at      timestamptz not null,
    provisional boolean not null,
    calendar    text not null,
    met_at      timestamptz,                         -- when what it asks for was done
    ended_at    timestamptz,                         -- met, replaced or no longer needed; null: it runs
    primary key (case_id, clock, event_id)
) with (fillfactor = 80);
-- By clock first: windows that lapsed run on, and must not stand in the way of overdue duties.
create index case_clock_running on case_clock (clock, due_at, case_id, event_id)
    include (owner) where ended_at is null;
-- On-time reply by due instant, landing by arrival (DOMAIN §6), without the table's rows.
create index case_clock_reply on case_clock (due_at)
    include (case_id, owner, met_at, ended_at) where clock in ('D06', 'D07', 'D14');
create index case_clock_landing on case_clock (started_at)
    include (case_id, owner, due_at, met_at, ended_at) where clock = 'D02';
create index case_clock_provisional on case_clock (owner) where provisional and ended_at is null;

-- Evaluations 评价 of the petition office and of the responsible unit, each at most one.
create table case_evaluation (
    case_id      text not null,
    object       text not null,                      -- office 信访部门, unit 责任单位
    result       text not null,                      -- satisfied, basically_satisfied, dissatisfied, expired
    reason       text not null,
    evaluated_at timestamptz not null,
    -- Of the case, kept in step, so that a year is counted without a join: whose work it is (who
    -- registered, who handles; null: nobody), and whether the case is a repeat 重复.
    node         text,
    repeat       boolean not null default false,
    primary key (case_id, object)
);
create index case_evaluation_by_time on case_evaluation (evaluated_at)
    include (object, result, node, repeat);

-- Supervisions 督办.
create table case_supervision (
    supervision_id uuid primary key,                 -- the event that issued it
    case_id        text not null,
    kind           text not null,                    -- urged 催办, supervised 督办, listed 挂牌督办
    grounds        integer[] not null,
    issued_by      text not null,
    node           text not null,                    -- the node that is supervised
    issued_at      timestamptz not null,
    due_at         timestamptz,
    replied_at     timestamptz,
    lifted_at      timestamptz
);
create index case_supervision_by_case on case_supervision (case_id);
create index case_supervision_open on case_supervision (node, due_at) where lifted_at is null;

-- Which nodes are connected 已联网节点: the first time that anything of a node was applied here.
create table node_contact (
    node            text primary key,
    connected_since timestamptz not null
);

-- What people and routines did that is no event of a case 操作审计.
create table audit_log (
    id      bigint generated always as identity primary key,
    at      timestamptz not null default now(),
    actor   text not null,
    action  text not null,
    case_id text,
    detail  jsonb not null default '{}'
);
create index audit_log_by_case on audit_log (case_id, at) where case_id is not null;
create index audit_log_by_action on audit_log (action, at);

-- Query codes 查询码: hashed, never in an event, known only to the petitioner.
create table query_code (
    case_id   text primary key,
    salt      bytea not null,
    digest    bytea not null,
    issued_at timestamptz not null default now(),
    issued_by text not null
);
-- Wrong attempts, counted by case and by address; both as keyed digests.
create table enquiry_attempt (
    kind         text not null check (kind in ('case', 'address')),
    subject      bytea not null,
    window_start timestamptz not null,
    failures     integer not null,
    primary key (kind, subject, window_start)
);

-- Answers to requests that carried an Idempotency-Key 幂等键, one row a command, written in the
-- command's own transaction.
create table idempotent_result (
    key            text not null,
    place          integer not null,
    request_digest text not null,
    response       jsonb not null,
    created_at     timestamptz not null default now(),
    primary key (key, place)
);
create index idempotent_result_by_age on idempotent_result (created_at);
