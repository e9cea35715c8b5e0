-- A dead letter is identified by its place and its bytes: a record that is read twice is one letter,
-- while a record of a topic that was made again or truncated is another one at the same offset.
alter table dead_letter drop constraint dead_letter_topic_partition_offset_key;
create unique index dead_letter_record on dead_letter
    (topic, partition, "offset", sha256(coalesce(record_key, '')), sha256(coalesce(value, '')));
