-- Long values are compressed by lz4 where the server has it: pglz took longer than all else that
-- writing an event costs. What is stored already stays as it is and is read as before.

-- Set it for these columns of a table and its partitions, present ones and, through the parent, those to come.
create function compress_quickly(target regclass, columns text[])
returns void language plpgsql as $$
declare
    part regclass; name text;
begin
    foreach name in array columns loop
        for part in select target union select inhrelid::regclass from pg_inherits where inhparent = target loop
            execute format('alter table %s alter column %I set compression lz4', part, name);
        end loop;
    end loop;
exception when feature_not_supported then
    raise notice 'this Postgres was built without lz4: % stays with pglz', target;
end
$$;

select compress_quickly('case_event', '{body,value}');
select compress_quickly('petition_case', '{fold}');
select compress_quickly('dead_letter', '{value}');
drop function compress_quickly;
