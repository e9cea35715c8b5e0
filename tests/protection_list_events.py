"""Protections of events on their way: published, taken, judged, folded."""

from protection import Protection

_CONSUMER = "tests/integration/test_consumer.py::"
_OFFSETS = "tests/integration/test_consumer_offsets.py::"
_POISON = (
    _CONSUMER + "test_poison_is_dead_lettered_with_its_bytes_and_reason_and_the_next_record_"
    "is_applied"
)
_CLOCKS = (
    "tests/faults/test_clocks.py::"
    "test_wrong_clocks_change_neither_order_nor_duplicates_and_no_time_is_negative"
)
_TEXTS = "tests/faults/test_sizes_and_texts.py::"
_REPEATS = (
    "tests/faults/test_order_and_repeats.py::"
    "test_every_event_twice_and_in_any_order_gives_the_same_ledgers_and_cases"
)
_PRECOMPUTE = "tests/integration/test_precompute.py::"

EVENTS = (
    Protection(
        "snapshot horizon of the feed 事件流水",
        "12",
        "node/queries/feed.py",
        '"applied_xid < pg_snapshot_xmin(pg_current_snapshot())"',
        '"true"',
        (
            "tests/integration/test_web_feed.py::"
            "test_an_event_that_commits_after_a_later_one_is_not_skipped",
        ),
    ),
    Protection(
        "what is on its way is not taken again 在途",
        "13",
        "producers/relay/outbox_reader.py",
        "and id <> all(%s::bigint[])",
        "and (true or id <> all(%s::bigint[]))",
        ("tests/integration/test_relay.py::test_what_is_taken_ahead_is_sent_once_and_in_order",),
    ),
    Protection(
        "a closed producer sends nothing any more",
        "9, 13",
        "node/kafka/library_patches.py",
        "except KafkaError:",
        "except ZeroDivisionError:",
        (
            "tests/integration/test_producing.py::"
            "test_what_a_closed_producer_had_queued_is_never_sent",
        ),
    ),
    Protection(
        "prefix marking of the relay 前缀标记",
        "13",
        "producers/relay/publisher.py",
        "if fine and (row.topic, row.case_id) not in failed:",
        "if fine:",
        (
            "tests/unit/test_producers_publishing.py::"
            "test_nothing_of_a_case_after_its_first_failure_is_marked",
        ),
    ),
    Protection(
        "the producer is idempotent: after a failed record nothing is sent",
        "10, 13",
        "node/kafka/clients.py",
        "        enable_idempotence=True,\n",
        "        enable_idempotence=False,\n",
        (
            "tests/faults/test_partial_publishing.py::"
            "test_after_a_record_that_the_broker_refuses_nothing_of_its_case_goes_ahead",
        ),
    ),
    Protection(
        "one relay per topic: advisory lock",
        "2",
        "node/postgres/advisory_lock.py",
        "    return cursor.fetchone() == (True,)\n",
        "    return cursor.fetchone() is not None\n",
        ("tests/integration/test_relay.py::test_a_second_relay_stands_by_and_takes_over",),
    ),
    Protection(
        "a position that is gone is told, never moved (auto_offset_reset none)",
        "14",
        "node/kafka/clients.py",
        '"auto_offset_reset": "none"',
        '"auto_offset_reset": "earliest"',
        (
            _OFFSETS
            + "test_a_client_whose_position_is_deleted_while_it_reads_is_told_and_never_moved",
        ),
    ),
    Protection(
        "trailing bytes are poison",
        "15",
        "schemas/codec.py",
        "    if exact and left:\n",
        "    if exact and left < 0:\n",
        (
            "tests/unit/test_schemas_properties.py::"
            "test_an_event_with_something_after_it_is_poison",
            _POISON,
        ),
    ),
    Protection(
        "poison is found by halving the batch",
        "15",
        "consumers/bisect.py",
        "if not is_data_error(error) or not part.records:",
        "if part is not None:",
        (
            "tests/unit/test_consumers_bisect.py::"
            "test_only_the_culprits_are_dead_lettered_and_every_offset_moves",
            _CONSUMER + "test_what_only_postgres_refuses_is_found_by_halving",
        ),
    ),
    Protection(
        "dead letters go to their topic first, or the offset stays",
        "15, 21",
        "consumers/apply_batch.py",
        "        self._dead_letter_topic.publish(batch.poison)\n",
        "",
        (_OFFSETS + "test_without_its_dead_letter_topic_the_loop_stops_and_the_offset_stays",),
    ),
    Protection(
        "what a decoder breaks on is poison (bombs)",
        "16",
        "schemas/codec.py",
        "DAMAGED: Final = (EOFError, IndexError,",
        "DAMAGED: Final = (IndexError,",
        (
            "tests/unit/test_schemas_bombs.py::test_five_bytes_of_array_are_refused",
            _TEXTS + "test_bombs_in_a_topic_cost_next_to_no_memory_and_the_next_record_is_applied",
        ),
    ),
    Protection(
        "a packed batch is unpacked within bounds (compression bombs)",
        "16",
        "node/kafka/decompression.py",
        "unpacker.decompress(packed, MAX_BATCH_BYTES)",
        "unpacker.decompress(packed)",
        (
            _TEXTS + "test_a_compression_bomb_stays_packed_is_dead_lettered_and_the_next_record_"
            "is_applied[lz4]",
        ),
    ),
    Protection(
        "size limit where an event is made",
        "18",
        "schemas/codec.py",
        "    if len(value) > MAX_VALUE_BYTES:\n        raise Invalid(",
        "    if not value:\n        raise Invalid(",
        (
            "tests/unit/test_schemas_codec.py::test_the_size_limit_is_exact",
            _TEXTS
            + "test_an_event_just_under_the_size_limit_goes_the_whole_way_and_one_over_it_is_"
            "refused",
        ),
    ),
    Protection(
        "size limit where an event arrives",
        "16, 18",
        "schemas/codec.py",
        "    if len(value) > MAX_VALUE_BYTES:\n        raise Undecodable(",
        "    if not value:\n        raise Undecodable(",
        (_POISON,),
    ),
    Protection(
        "NUL is refused at the desk",
        "17",
        "schemas/limits.py",
        'if "\\0" in text:',
        "if False:",
        ("tests/unit/test_forms_fill.py::test_a_wrong_value_is_named_with_its_place",),
    ),
    Protection(
        "NUL is refused where an event is made",
        "17",
        "schemas/validation/checked_writer.py",
        'is not str or "\\0" in value',
        "is not str",
        (
            "tests/unit/test_schemas_codec.py::"
            "test_bad_text_is_refused_on_writing_by_the_name_of_its_field",
        ),
    ),
    Protection(
        "NUL is dead-lettered where it arrives",
        "17",
        "consumers/decode.py",
        'if b"\\\\u0000" in body and _has_nul(event.body):',
        "if not body:",
        (_POISON,),
    ),
    Protection(
        "the sender of an uplink is checked",
        "19",
        "consumers/decode.py",
        "            _check_sender(record.topic, event, context)\n",
        "",
        (_CONSUMER + "test_an_event_on_a_strange_uplink_is_refused",),
    ),
    Protection(
        "an event is in the ledger once, by its id",
        "20",
        "node/store/events.py",
        '"on conflict (event_id) do nothing"',
        '""',
        (
            _CONSUMER + "test_a_record_that_comes_twice_is_in_the_ledger_once_and_counted",
            _REPEATS,
        ),
    ),
    Protection(
        "the events of a batch are written in the order in which they came",
        "10",
        "node/store/events.py",
        ', feed_id) "\n    f"select {EVENTS.columns}, feed_id from',
        ') "\n    f"select {EVENTS.columns} from',
        (
            "tests/integration/test_ledger.py::"
            "test_events_are_in_the_feed_in_the_order_in_which_they_are_written",
        ),
    ),
    Protection(
        "the fold takes events in one order",
        "20",
        "cases/fold.py",
        "    placed.sort(key=itemgetter(0))\n",
        "",
        ("tests/unit/test_fold.py::test_any_permutation_and_repetition_folds_to_the_same_case",),
    ),
    Protection(
        "a late event has its case folded again",
        "20",
        "cases/fold.py",
        "    return case.position is None or min(map(position, events)) > case.position\n",
        "    return True\n",
        ("tests/unit/test_fold.py::test_a_late_event_does_not_continue_the_case", _REPEATS),
    ),
    Protection(
        "a precomputed batch is used only if no row of it has changed",
        "20",
        "node/store/precompute.py",
        "    return all(locked.get(case_id, 0) == revision",
        "    return all(locked is not None",
        (
            _PRECOMPUTE + "test_precomputed_or_not_the_node_holds_the_same",
            _PRECOMPUTE + "test_after_another_writer_the_batch_is_folded_again",
        ),
    ),
    Protection(
        "a precomputed batch is used only if all events are new",
        "20",
        "node/store/write_events.py",
        "    if len(new) != len(packed) or not still_valid(",
        "    if not still_valid(",
        (_PRECOMPUTE + "test_an_event_that_comes_twice_in_a_batch_counts_once",),
    ),
    Protection(
        "a precomputed batch is used only after the one that it is based on",
        "20",
        "node/store/precompute.py",
        "    if precomputed is None or precomputed.is_outdated:\n",
        "    if precomputed is None:\n",
        (
            _PRECOMPUTE
            + "test_a_batch_that_is_based_on_one_that_was_folded_again_is_folded_again_too",
            _PRECOMPUTE
            + "test_a_batch_that_is_based_on_one_that_was_not_committed_is_folded_again",
        ),
    ),
    Protection(
        "a rebuild raises the revision of every row",
        "20",
        "node/rebuild/refold.py",
        "(revisions.get(case.case_id) or 0) + 1",
        "revisions.get(case.case_id) or 1",
        (_PRECOMPUTE + "test_what_a_rebuild_mended_meanwhile_stays_mended",),
    ),
    Protection(
        "a gap is named",
        "20",
        "cases/fold.py",
        "    if number > expected:\n",
        "    if number < expected:\n",
        (
            "tests/unit/test_fold.py::test_a_gap_names_the_emitter_and_the_missing_numbers",
            _CONSUMER + "test_a_case_with_a_missing_event_says_which",
        ),
    ),
    Protection(
        "lag is never negative",
        "22",
        "consumers/lag.py",
        "max(0.0, (now - oldest_micros) / 1_000_000)",
        "(now - oldest_micros) / 1_000_000",
        ("tests/unit/test_consumers_lag.py::test_a_record_of_the_future_has_no_negative_lag",),
    ),
    Protection(
        "a delivery time is never negative",
        "22",
        "consumers/outcomes.py",
        "max(0.0, (now - instant) / 1_000_000)",
        "(now - instant) / 1_000_000",
        (_CLOCKS + "[stepped back to behind]",),
    ),
    Protection(
        "only what a late event disturbs is folded again",
        "23",
        "node/store/projection.py",
        "        if continues(before.case, its_events):\n",
        "        if before.revision == 0 and continues(before.case, its_events):\n",
        (
            "tests/faults/test_bursts.py::"
            "test_a_case_of_ten_thousand_events_costs_a_fold_each_and_holds_up_no_other",
        ),
    ),
)
