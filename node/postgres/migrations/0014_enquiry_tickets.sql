-- Tickets 凭据 of opened cases: random, at rest their SHA-256 only. A ticket is good as long as the
-- query code that was proven for it is the case's present one, so a new code voids it.
create table enquiry_ticket (
    digest      bytea primary key,
    case_id     text not null,
    code_digest bytea not null,
    expires_at  timestamptz not null
);
create index enquiry_ticket_by_expiry on enquiry_ticket (expires_at);
