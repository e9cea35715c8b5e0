-- The ledger by month 事件账按月分区, and autovacuum that holds under load (docs/adr/0013, docs/growth.md).

-- The lowest event id of an instant: a UUIDv7 begins with 48 bits of milliseconds.
create function event_id_floor(instant timestamptz) returns uuid
language sql immutable strict return
    (lpad(to_hex(floor(extract(epoch from instant) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

-- Ledger rows are written once and never changed or deleted: they are frozen at the first visit, so
-- that no later vacuum reads an old month again, and a month that fills is visited while its new
-- pages are few.
create function tune_event_partition(name text) returns void
language plpgsql as $$
begin
    execute format(
        'alter table %I set (autovacuum_freeze_min_age = 0, toast.autovacuum_freeze_min_age = 0, '
        'autovacuum_vacuum_insert_threshold = 20000, autovacuum_vacuum_insert_scale_factor = 0.05, '
        'autovacuum_analyze_threshold = 20000, autovacuum_analyze_scale_factor = 0.05)', name);
end
$$;

-- Make the months behind the last one up to that of `until`; how many were made. Ids of a month that
-- had none yet wait in the default partition and are moved. Writers go on, but the default partition
-- is locked for a moment: set lock_timeout. Two callers at once: the second waits.
create function ensure_event_partitions(until timestamptz) returns integer
language plpgsql as $$
declare
    last_end text; month timestamp; next_month timestamp; low uuid; high uuid; name text; made integer := 0;
begin
    lock table case_event in share update exclusive mode;
    select max((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([0-9a-f-]{36})''\)'))[1] collate "C")
        into strict last_end
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'case_event'::regclass;
    month := to_timestamp(('x' || left(replace(last_end, '-', ''), 12))::bit(48)::bigint / 1000) at time zone 'UTC';
    while month <= until at time zone 'UTC' loop
        next_month := month + interval '1 month';
        low := event_id_floor(month at time zone 'UTC');
        high := event_id_floor(next_month at time zone 'UTC');
        name := 'case_event_' || to_char(month, 'YYYY_MM');
        execute format('create table %I (like case_event including defaults including constraints '
            'including storage including compression)', name);
        perform tune_event_partition(name);
        lock table case_event_default in access exclusive mode;
        execute format('with waiting as (delete from case_event_default where event_id >= %L and event_id < %L '
            'returning *) insert into %I select * from waiting', low, high, name);
        execute format('alter table case_event attach partition %I for values from (%L) to (%L)', name, low, high);
        month := next_month;
        made := made + 1;
    end loop;
    return made;
end
$$;

-- What is there becomes the first partition as it stands, whatever columns and indexes it has: no row
-- is copied, except ids behind this month, which are few or none. Attaching reads the table once.
do $$
declare
    first_end uuid := event_id_floor(
        (date_trunc('month', now() at time zone 'UTC') + interval '1 month') at time zone 'UTC');
    one record; given bigint; indexes text[] := '{}'; definition text;
begin
    lock table case_event in access exclusive mode;
    execute format('select case when is_called then last_value + 1 else last_value end from %s',
        pg_get_serial_sequence('case_event', 'feed_id')) into given;
    for one in
        select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition, i.indisprimary
        from pg_index i where i.indrelid = 'case_event'::regclass
    loop
        if not one.indisprimary then
            indexes := indexes || one.definition;
        end if;
        execute format('alter index %s rename to %I', one.name, replace(one.name, 'case_event', 'case_event_first'));
    end loop;
    alter table case_event alter column feed_id drop identity;
    alter table case_event rename to case_event_first;
    create table case_event (like case_event_first including defaults including constraints
        including storage including compression, primary key (event_id)) partition by range (event_id);
    foreach definition in array indexes loop
        execute definition;
    end loop;

    -- One number for the whole ledger: a partition has no identity of its own.
    create sequence case_event_feed_id owned by case_event.feed_id;
    perform setval('case_event_feed_id', given, false);
    alter table case_event alter column feed_id set default nextval('case_event_feed_id');
    alter table case_event_first alter column feed_id set default nextval('case_event_feed_id');

    -- Ids that are no UUIDv7, or years away: kept like any other.
    create table case_event_default partition of case_event default;
    execute format('with behind as (delete from case_event_first where event_id >= %L returning *) '
        'insert into case_event_default select * from behind', first_end);
    execute format('alter table case_event attach partition case_event_first for values from (minvalue) to (%L)', first_end);
    perform tune_event_partition('case_event_first');
    perform tune_event_partition('case_event_default');
    perform ensure_event_partitions(now() + interval '3 months');
end
$$;

-- A row is written, marked once and deleted a month later. A vacuum at each fiftieth part (the default
-- is a fifth) keeps what `outbox_pending` must step over short; at full speed, because the part that it
-- reads is in memory anyway. Cutting off empty pages at the end would need a lock that stops the relay.
alter table outbox set (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05, vacuum_truncate = off);
-- A few hundred rows that change with every batch, in place thanks to their fill factor: Postgres' own
-- thresholds are right for so few (measured). Only cutting off pages would stop the consumer.
alter table consumer_offset set (vacuum_truncate = off);
-- Every event changes its case: room for updates in place comes back before the pages are full.
alter table petition_case set (
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0.05);
-- Clocks are met and ended at most once each, but `case_clock_running` is what alarms count.
alter table case_clock set (
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0.05);
-- Usually nearly empty. After a flood of poison it is emptied in one go, and its original bytes lie
-- in the toast table, which must be swept as soon.
alter table dead_letter set (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200,
    toast.autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_threshold = 200);
