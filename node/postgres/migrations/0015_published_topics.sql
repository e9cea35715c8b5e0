-- Kafka's identity of each topic that this node publishes to. A topic that was deleted and made again
-- has another one: the offsets of its outbox rows, receipts and positions are those of a topic that is gone.
create table published_topic (
    topic    text primary key,
    topic_id uuid not null
);
