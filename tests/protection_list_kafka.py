"""Protections against what Kafka may hold: markers, foreign codecs, letters of many events."""

from protection import Protection

_MARKERS = "tests/integration/test_transaction_markers.py::"
_CODECS = "tests/integration/test_compression.py::"
_LETTERS = "tests/integration/test_healing_letters.py::"
_UNPACKING = "tests/unit/test_unpacking.py::"
_PATCHES = "tests/unit/test_kafka_library_patches.py::"

KAFKA = (
    Protection(
        "one thread at a time compiles a decoder of the Kafka library",
        "8",
        "node/kafka/clients.py",
        "install_compile_lock()\n",
        "",
        (
            _PATCHES + "test_two_clients_that_read_a_kind_of_message_for_the_first_time_can_both_"
            "read_it",
        ),
    ),
    Protection(
        "a poll without records moves the position 事务标记",
        "28",
        "consumers/session.py",
        "                if polled.ranges:\n",
        "                if polled.ranges and polled.records:\n",
        (
            _MARKERS + "test_the_consumer_passes_markers_and_applies_no_aborted_record",
            _MARKERS + "test_markers_alone_that_retention_takes_away_are_no_lost_records",
        ),
    ),
    Protection(
        "records of aborted transactions are not applied 读已提交",
        "28",
        "node/kafka/record_reader.py",
        "elif part._is_batch_aborted(batch):",
        "elif False:",
        (_MARKERS + "test_the_consumer_passes_markers_and_applies_no_aborted_record",),
    ),
    Protection(
        "the look at own topics ends by positions",
        "28",
        "node/recovery/own_events.py",
        "position = position, library_patches.next_offsets(client)[tail.partition]",
        "position = position, records[-1].offset + 1 if records else position",
        (
            _MARKERS + "test_a_relay_whose_own_topics_end_with_markers_publishes",
            _MARKERS + "test_recovery_ends_though_markers_end_every_topic_and_takes_no_aborted_"
            "event_home",
        ),
    ),
    Protection(
        "own records after an open transaction are waited for",
        "28",
        "node/recovery/own_events.py",
        "library_patches.high_watermarks(client, partitions, timeout_ms=_ANSWER_MS)",
        "client.end_offsets(partitions, timeout_ms=_ANSWER_MS)",
        (
            _MARKERS
            + "test_the_look_at_own_topics_waits_for_an_open_transaction_and_notices_sigterm",
        ),
    ),
    Protection(
        "an open transaction on one own topic holds up no other",
        "28",
        "producers/relay/relay.py",
        "bring_home(self._settings, topics, stop, waits=False)",
        "bring_home(self._settings, topics, stop)",
        (_MARKERS + "test_an_open_transaction_on_one_own_topic_holds_up_that_topic_alone",),
    ),
    Protection(
        "an open transaction shows as lag",
        "28",
        "consumers/lag.py",
        "library_patches.high_watermarks(self._client, held, timeout_ms=limit)",
        "self._client.end_offsets(held, timeout_ms=limit)",
        (
            _MARKERS + "test_an_open_transaction_shows_as_lag_and_its_records_are_applied_once_"
            "it_is_committed",
        ),
    ),
    Protection(
        "zstd is read 压缩",
        "29",
        "node/kafka/decompression.py",
        "    4: _zstd,\n",
        "",
        (
            _CODECS + "test_a_topic_set_to_any_codec_is_read_by_consumers_recovery_and_the_proof",
            _CODECS + "test_a_batch_that_a_foreign_producer_has_compressed_is_applied[zstd]",
        ),
    ),
    Protection(
        "snappy is read, in blocks and whole",
        "29",
        "node/kafka/decompression.py",
        "    2: _snappy,\n",
        "",
        (
            _CODECS + "test_a_topic_set_to_any_codec_is_read_by_consumers_recovery_and_the_proof",
            _CODECS + "test_a_batch_of_another_client_library_is_read[snappy]",
        ),
    ),
    Protection(
        "zstd stops at the bound",
        "29, 16",
        "node/kafka/decompression.py",
        "reader.read(MAX_BATCH_BYTES + 1)",
        "reader.read()",
        (
            "tests/faults/test_sizes_and_texts.py::test_a_compression_bomb_stays_packed_is_dead_"
            "lettered_and_the_next_record_is_applied[zstd]",
        ),
    ),
    Protection(
        "snappy stops at the bound",
        "29, 16",
        "node/kafka/decompression.py",
        "if cramjam.snappy.decompress_raw_len(block) > room:",
        "if False:",
        (_UNPACKING + "test_what_unpacks_to_too_much_costs_no_more_than_the_bound[snappy]",),
    ),
    Protection(
        "a batch that cannot be read stops its partition only, and is no poison",
        "29",
        "consumers/session.py",
        "                self._assignment.stop([stopped])\n",
        "                raise error\n",
        (
            _CODECS + "test_a_batch_that_cannot_be_read_stops_its_partition_only_and_is_applied_"
            "once_it_can",
        ),
    ),
    Protection(
        "a client lets go of a batch that it could not read",
        "29",
        "node/kafka/record_reader.py",
        "        part.drain()  # or the client",
        "        pass  # or the client",
        (
            _CODECS + "test_a_batch_that_cannot_be_read_stops_its_partition_only_and_is_applied_"
            "once_it_can",
        ),
    ),
    Protection(
        "a discarded letter holds nothing back 废弃后补发",
        "30",
        "node/reconcile/receipts.py",
        "where topic = %s and status = 'open' order by id desc limit %s",
        "where topic = %s and status <> 'replayed' order by id desc limit %s",
        (
            _LETTERS + "test_an_event_is_held_back_by_its_open_letter_and_sent_again_once_that_"
            "is_discarded",
            _LETTERS + "test_a_letter_that_stood_for_a_batch_of_events_is_healed_whole",
        ),
    ),
    Protection(
        "reconcile names the letter that holds an event back",
        "30",
        "node/entrypoints/cli/reconcile.py",
        "{'; '.join(_what_follows(outcome.findings))}{waiting}",
        "{'; '.join(_what_follows(outcome.findings))}",
        (
            _LETTERS + "test_an_event_is_held_back_by_its_open_letter_and_sent_again_once_that_"
            "is_discarded",
            _LETTERS + "test_the_receiver_too_says_which_of_its_letters_holds_an_event_back",
        ),
    ),
)
