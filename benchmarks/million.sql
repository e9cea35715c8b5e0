-- Invented cases 虚构信访件 for benchmarks/million.py, which runs the parts in order.
-- Nothing here is a figure of a real office: shares and delays are chosen to fill every index.

-- == helpers
create or replace function pg_temp.share(i bigint, salt bigint) returns float8
    language sql immutable parallel safe as
    $$ select (hashint8extended(i, salt) & 1073741823) / 1073741824.0::float8 $$;
create or replace function pg_temp.event(i bigint, place int) returns uuid
    language sql immutable parallel safe as
    $$ select (lpad(to_hex(i), 12, '0') || '7' || lpad(to_hex(place), 3, '0')
               || '8000000000000000')::uuid $$;
-- 24:00 in China of the day that is `days` after the day of `start`.
create or replace function pg_temp.midnight(start timestamptz, days int) returns timestamptz
    language sql immutable parallel safe as
    $$ select date_bin('1 day', start, '2000-01-01T00:00+08'::timestamptz)
              + (days + 1) * interval '24 hours' $$;
-- What has not happened yet is not known.
create or replace function pg_temp.past(moment timestamptz, now timestamptz) returns timestamptz
    language sql immutable parallel safe as
    $$ select case when moment <= now then moment end $$;

-- == lives
create temporary table life as
with drawn as (
    select i,
        (%(now)s::timestamptz - interval '365 days' + i * (interval '365 days' / %(cases)s)) as registered,
        pg_temp.share(i, 1) as r1, pg_temp.share(i, 2) as r2, pg_temp.share(i, 3) as r3,
        pg_temp.share(i, 4) as r4, pg_temp.share(i, 5) as r5, pg_temp.share(i, 6) as r6,
        pg_temp.share(i, 7) as r7, pg_temp.share(i, 8) as r8, pg_temp.share(i, 9) as r9
    from generate_series(1, %(cases)s) i
), placed as (
    select *,
        case when r1 < 0.1 then %(national)s else
            (%(provinces)s::text[])[1 + floor(r2 * r2 * 32)::int] end as registrar,
        (%(provinces)s::text[])[1 + floor(r2 * r2 * 32)::int] as province,
        registered + (r3 * r3) * interval '3 days' as dispatched
    from drawn
), moved as (
    select *, dispatched + (r4 * r4) * interval '3 days' as landed,
        case when r5 < 0.85 then dispatched + (r5 * r5 * 20) * interval '1 day' end as accepted,
        case when r5 between 0.85 and 0.995 then dispatched + (r5 - 0.85) * 110 * interval '1 day' end
            as refused,
        r6 < 0.1 as simple, r6 > 0.92 as extended
    from placed
), answered as (
    select *, case when r7 < 0.97 then accepted + (r7 * r7 * 68 + case when extended then 25 else 0 end)
        * case when simple then 0.2 else 1 end * interval '1 day' end as decided
    from moved
)
select i, registered, registrar, province, simple, extended, r8, r9,
    registrar || to_char(registered at time zone 'Asia/Shanghai', '-YYYYMMDD-') || 'B'
        || lpad(i::text, 7, '0') as case_id,
    registered - (r9 * r9) * interval '2 days' as received,
    pg_temp.past(dispatched, %(now)s) as dispatched,
    pg_temp.past(landed, %(now)s) as landed,
    pg_temp.past(accepted, %(now)s) as accepted,
    pg_temp.past(refused, %(now)s) as refused,
    pg_temp.past(decided, %(now)s) as decided,
    pg_temp.past(decided + r8 * interval '4 days', %(now)s) as served,
    pg_temp.past(decided + r8 * interval '4 days' + interval '1 hour', %(now)s) as closed,
    pg_temp.past(decided + r8 * interval '4 days' + case when r9 < 0.6 then r9 * interval '40 days'
        else interval '31 days' end, %(now)s) as evaluated,
    (array['web','web','web','app','wechat','phone','letter','visit'])[1 + floor(r8 * 8)::int] as channel,
    1 + floor(r4 * r4 * r4 * 7)::int as persons,
    case when r3 < 0.15 then 'repeat' when r3 < 0.98 then 'first' end as finding,
    (array['城乡建设','劳动和社会保障','农村农业','国土资源','交通运输','教育','卫生计生','环境保护',
        '政法','经济管理','民政','商贸旅游','科技与信息产业','党务政务','纪检监察'])[1 + floor(r9 * r9 * 15)::int]
        as category
from answered;

-- == cases
insert into petition_case (case_id, state, registered_by, handled_by, participants, channel, title,
    area, content_category_1, content_category_2, content_category_3, received_at, registered_at,
    exchanged_at, version, conflicts, incomplete, revision, petition_class, rule_set, persons,
    urgent, finding, is_group, outcome, accepted_at, decided_at, served_at, closed_at, fold)
select case_id,
    case when closed is not null then 'closed' when served is not null then 'served'
        when decided is not null then 'decided' when accepted is not null then 'accepted'
        when refused is not null then 'not_accepted'
        when landed is not null then 'landed' when dispatched is not null then 'forwarded'
        else 'registered' end,
    registrar,
    case when r9 > 0.003 then case when dispatched is null then registrar else province end end,
    array[registrar, province], channel, '关于虚构小区供暖不足的来信 ' || i,
    left(province, 2) || lpad((1 + floor(r8 * 12))::int::text, 2, '0')
        || lpad((1 + floor(r9 * 9))::int::text, 2, '0'),
    category, category || '二级' || floor(r8 * 6)::int,
    category || '三级' || floor(r8 * 36)::int, received, registered,
    case when registrar <> %(national)s then registered + interval '80 milliseconds' end,
    8, (r9 < 0.0005)::int, r9 < 0.0003, 8, 'claim', 'XF2022', persons, r9 > 0.99, finding,
    persons >= 5, case when decided is not null then 'explained' end,
    accepted, decided, served, closed,
    jsonb_build_object('case_id', case_id, 'handled_by', province, 'sequences',
        jsonb_build_object(registrar, 5, province, 3), 'registration', jsonb_build_object(
        'title', '关于虚构小区供暖不足的来信 ' || i, 'channel', channel, 'area', province,
        'text', repeat('虚构的诉求内容', 20)), 'rule_set', 'XF2022', 'gaps', '[]'::jsonb)
from life order by i;

-- == clocks
insert into case_clock (case_id, clock, event_id, owner, started_at, due_at, provisional, calendar,
    met_at, ended_at)
select case_id, clock, pg_temp.event(i, place), owner, started, due, false,
    case when clock in ('D02', 'D14') then 'chinesecalendar 1.11.0' else '' end, met, ended
from life, lateral (values
    ('D01', 1, registrar, received, pg_temp.midnight(received, 15), dispatched, dispatched),
    ('D02', 2, province, dispatched, pg_temp.midnight(dispatched, 1), landed, landed),
    ('D03', 2, province, dispatched, pg_temp.midnight(dispatched, 15),
        coalesce(accepted, refused), coalesce(accepted, refused)),
    ('D06', 3, province, case when not simple then accepted end, pg_temp.midnight(accepted, 60),
        case when not extended then decided end,
        case when extended then pg_temp.past(accepted + interval '50 days', %(now)s) else decided end),
    ('D07', 4, province, case when extended then pg_temp.past(accepted + interval '50 days', %(now)s) end,
        pg_temp.midnight(accepted, 90), decided, decided),
    ('D14', 3, province, case when simple then accepted end, pg_temp.midnight(accepted, 14), decided, decided),
    ('D08', 5, registrar, served, pg_temp.midnight(served, 30), null, null),
    ('D16', 5, registrar, served, pg_temp.midnight(served, 30),
        case when r9 < 0.6 then evaluated end, evaluated)
) as c (clock, place, owner, started, due, met, ended)
where started is not null
order by i;

-- == evaluations
insert into case_evaluation (case_id, object, result, reason, evaluated_at, node, repeat)
select case_id, object,
    case when r9 >= 0.6 then 'expired' when r8 < 0.5 then 'satisfied'
        when r8 < 0.8 then 'basically_satisfied' else 'dissatisfied' end, '',
    case when r9 >= 0.6 then pg_temp.midnight(served, 30) else evaluated end,
    case when object = 'office' then registrar when r9 > 0.003 then province end,
    finding is not distinct from 'repeat'
from life, unnest(array['office', 'unit']) as object
where evaluated is not null
order by i;

-- == events
insert into case_event (event_id, case_id, event_type, version, emitter, emitter_sequence,
    occurred_at, recorded_at, exchanged_at, actor, rule_set, body, value, traceparent)
select pg_temp.event(i, place), case_id, 'petition.' || type || '.v1', place, emitter, place,
    moment, moment, moment + interval '80 milliseconds', 'bench', 'XF2022',
    jsonb_build_object('title', '关于虚构小区供暖不足的来信', 'note', repeat('虚构', 30)),
    decode(repeat('00', 200), 'hex'), '00-00000000000000000000000000000001-0000000000000001-01'
from life, lateral (values
    ('case.registered', 1, registrar, registered),
    ('case.forwarded', 2, registrar, dispatched),
    ('case.accepted', 3, province, accepted),
    ('case.served', 5, province, served)
) as e (type, place, emitter, moment)
where moment is not null
order by i;

-- == tidy
drop table life;
