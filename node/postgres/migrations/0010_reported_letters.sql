-- The number of the letter at the receiver, so that the sender can name what holds an event back.
-- From now on only open letters are reported: a discarded one holds nothing back.
alter table reported_dead_letter add column letter bigint;
