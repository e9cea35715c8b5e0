-- Urgent first 重大紧急优先 (docs/adr/0014): what a case marked urgent owes leaves before any backlog.
alter table outbox add column urgent boolean not null default false;
-- In a case no ordinary row that waits is older than an urgent one; this release found none marked.
update outbox set urgent = true from petition_case
where petition_case.case_id = outbox.case_id and petition_case.urgent and outbox.published_at is null;
-- Both lanes in one index: however long the backlog, the head of each is found at once.
drop index outbox_pending;
create index outbox_pending on outbox (topic, urgent desc, id) where published_at is null;
