-- Dead letters 死信 dealt with by people, and a stop before a topic drains into them.

alter table dead_letter
    add column actor       text,                -- who replayed or discarded it
    add column resolved_at timestamptz,
    add column resolution  text,                -- what came of it, or why it was discarded
    -- As text: names of headers may hold NUL, which jsonb cannot.
    alter column headers type json using headers::json;
-- Counted every few seconds, listed and replayed by reason in the order of their ids.
drop index dead_letter_open;
create index dead_letter_open on dead_letter (reason, id) include (created_at) where status = 'open';

alter table consumer_offset
    -- Dead letters without a good record between them, up to next_offset; with it, so that a
    -- process that is started again and again does not begin to count anew.
    add column consecutive_dead_letters integer not null default 0,
    -- The share of dead letters is judged from here on: where reading began, or where somebody
    -- last dealt with letters of the partition.
    add column judged_from bigint not null default 0;
update consumer_offset set judged_from = next_offset;
