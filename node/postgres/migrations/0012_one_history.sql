-- Two things that every writer of this database must know (docs/adr/0026): which incarnation of the
-- database it writes to, for the feed, and which release's tables these are.

-- The history of this database in epochs 数据库沿革. An epoch is one run of one Postgres server on this
-- database. Whoever puts a backup back, promotes a standby or loads a dump starts another run, so a
-- feed cursor that names its epoch can be told from one that was made in a history that is gone.
create table feed_epoch (
    number             integer primary key,       -- from 1, in order
    id                 text not null unique default left(replace(gen_random_uuid()::text, '-', ''), 10),
    generation         integer not null,          -- transaction ids can be compared within one
    first_xid          xid8 not null,             -- no event of an earlier epoch is at or above it
    first_feed_id      bigint not null,           -- the first of its generation
    earlier_last_xid   xid8 not null,             -- no event of an earlier generation is above it
    database           oid not null,
    system_identifier  bigint not null,
    postmaster_started timestamptz not null,
    began_at           timestamptz not null default clock_timestamp()
);

-- Begin an epoch if this run of Postgres has none yet. A read-only transaction changes nothing.
create function note_feed_epoch() returns void
language plpgsql as $$
declare
    last feed_epoch; here oid; this_system bigint; same boolean;
begin
    if current_setting('transaction_read_only')::boolean then
        return;
    end if;
    here := (select oid from pg_database where datname = current_database());
    select * into last from feed_epoch order by number desc limit 1;
    if last.database = here and last.postmaster_started = pg_postmaster_start_time() then
        perform set_config('petitionlink.run', pg_postmaster_start_time()::text, false);
        return;
    end if;
    -- One at a time; the next statement sees what the one before has committed.
    lock table feed_epoch in share row exclusive mode;
    select * into last from feed_epoch order by number desc limit 1;
    if last.database = here and last.postmaster_started = pg_postmaster_start_time() then
        return;
    end if;
    select system_identifier into this_system from pg_control_system();
    -- A dump that was loaded, or a copied database: transaction ids are those of another place.
    same := coalesce(last.database = here and last.system_identifier = this_system, false);
    insert into feed_epoch (number, generation, first_xid, first_feed_id, earlier_last_xid, database,
                            system_identifier, postmaster_started)
    values (coalesce(last.number, 0) + 1,
            coalesce(last.generation, 0) + case when same then 0 else 1 end,
            pg_snapshot_xmin(pg_current_snapshot()),
            case when same then last.first_feed_id
                 else (select coalesce(max(feed_id), 0) + 1 from case_event) end,
            case when same then last.earlier_last_xid
                 else coalesce((select applied_xid from case_event
                                order by applied_xid desc, feed_id desc limit 1), '0') end,
            here, this_system, pg_postmaster_start_time());
    perform set_config('petitionlink.run', pg_postmaster_start_time()::text, false);
end
$$;

-- No event is written before its epoch is noted, whoever writes it: once a session, which cannot
-- outlive its server. The setting is rolled back with the transaction that noted the epoch.
create function note_feed_epoch_before_events() returns trigger
language plpgsql as $$
begin
    perform note_feed_epoch();
    return null;
end
$$;
create trigger feed_epoch_is_noted before insert on case_event
    for each statement
    when (current_setting('petitionlink.run', true) is distinct from pg_postmaster_start_time()::text)
    execute function note_feed_epoch_before_events();

-- What was written before this migration is a generation of its own: all of it is committed.
insert into feed_epoch (number, generation, first_xid, first_feed_id, earlier_last_xid, database,
                        system_identifier, postmaster_started)
values (1, 1, '0', 1, '0', 0, 0, '-infinity');
select note_feed_epoch();

-- A process of another release must not write. Its connections say which migration it expects
-- (`petitionlink.schema`); releases before this one say nothing, and are known by their names.
create function refuse_another_release() returns trigger
language plpgsql as $$
declare
    expected text := nullif(current_setting('petitionlink.schema', true), '');
    process text := current_setting('application_name');
begin
    if process not like 'petitionlink-%' or process = 'petitionlink-migrate' then
        return null;  -- a person, a restore, or a migration, which looks by itself
    end if;
    raise exception using errcode = 'PL001', message = format(
        'the database is at migration %s, and %s (process %s) is of a release with migration %s',
        tg_argv[0], process, pg_backend_pid(), coalesce(expected, 'before 12'));
end
$$;

-- Guard every table that a process writes, except projections (a rebuild replaces them, and who
-- writes them writes the ledger first). `migrate` calls it after its last step. It waits for
-- transactions that have written to these tables; those that come later meet the new guard.
create function guard_against_other_releases(migration integer) returns void
language plpgsql as $$
declare
    guarded regclass;
begin
    for guarded in
        select c.oid from pg_class c
        where c.relnamespace = (select relnamespace from pg_class where oid = 'case_event'::regclass)
            and c.relkind in ('r', 'p') and not c.relispartition
            and c.relname not in ('schema_migration', 'feed_epoch', 'petition_case', 'case_clock',
                                  'case_evaluation', 'case_supervision')
        order by c.relname
    loop
        -- The condition costs a microsecond a statement; the function runs only to refuse.
        execute format(
            'create or replace trigger only_this_release before insert or update or delete on %s '
            'for each statement when (current_setting(''petitionlink.schema'', true) is distinct from %L) '
            'execute function refuse_another_release(%L)', guarded, migration, migration);
    end loop;
end
$$;
