"""The faults that nodes survive, and the tests that show it: a row each, numbered for ever."""

from typing import NamedTuple


class Fault(NamedTuple):
    """A row: what happens, and the files and tests in which it does."""

    number: int
    name: str
    tests: tuple[str, ...]


_CONSUMER = "integration/test_consumer.py::"
_OFFSETS = "integration/test_consumer_offsets.py::"
_RECOVERY = "integration/test_recovery.py::"
_STOPPED = "integration/test_stopped_partitions.py::"
_STOPPED_DESTINATIONS = "integration/test_stopped_destinations.py::"
_DEGRADED = "long/test_degraded_not_dead.py::"

FAULTS = (
    Fault(1, "consumer killed at any moment", ("long/test_killed_processes.py",)),
    Fault(
        2,
        "relay killed after the acknowledgement",
        (
            "long/test_killed_processes.py",
            "integration/test_relay.py::"
            "test_what_was_acknowledged_but_not_marked_is_sent_again_and_marked",
        ),
    ),
    Fault(
        3,
        "consumer frozen beyond its session, then awake",
        ("faults/test_zombies.py", _OFFSETS + "test_a_zombie_rolls_back"),
    ),
    Fault(
        4,
        "backend lost in a batch and at COMMIT",
        (
            "faults/test_commits.py",
            _DEGRADED
            + "test_nodes_whose_database_connections_are_cut_again_and_again_lose_nothing",
        ),
    ),
    Fault(
        5,
        "Postgres down",
        (_DEGRADED + "test_nodes_wait_while_postgres_is_away_and_go_on_when_it_is_back",),
    ),
    Fault(
        6,
        "disk full, read-only, serialization, lock, privilege",
        (
            "faults/test_database_refuses.py",
            "faults/test_held_locks.py",
            "unit/test_node_errors.py",
        ),
    ),
    Fault(
        7,
        "restored from a backup, or lost",
        (
            _RECOVERY + "test_a_province_restored_from_last_nights_backup_has_all_its_own_events_"
            "again",
            _RECOVERY + "test_a_province_whose_database_and_log_are_lost_comes_back_complete_from_"
            "the_centre",
            _RECOVERY + "test_a_centre_whose_database_and_log_are_lost_comes_back_complete_from_"
            "its_provinces",
        ),
    ),
    Fault(
        8,
        "broker down at the start",
        (
            _DEGRADED
            + "test_nodes_take_work_while_the_broker_is_killed_and_deliver_when_it_is_back",
        ),
    ),
    Fault(
        9,
        "link to the centre down for long",
        (
            "faults/test_links.py::"
            "test_a_link_that_is_down_for_long_fills_the_outbox_and_drains_it_in_order",
        ),
    ),
    Fault(10, "link reset, black-holed, slow, narrow, cut", ("faults/test_links.py",)),
    Fault(
        11,
        "rolling restart of three consumers",
        (
            "faults/test_zombies.py::"
            "test_consumers_restarted_in_turn_under_load_stall_no_partition_for_long",
        ),
    ),
    Fault(
        12,
        "many writers, an idle transaction",
        (
            "faults/test_writers.py",
            "integration/test_relay.py::"
            "test_a_lower_id_that_commits_later_is_neither_lost_nor_overtaken_within_its_case",
            "integration/test_web_feed.py",
        ),
    ),
    Fault(
        13,
        "partial publish failure",
        ("faults/test_partial_publishing.py", "unit/test_producers_publishing.py"),
    ),
    Fault(
        14,
        "topic truncated, or deleted and made again",
        (
            _OFFSETS + "test_a_truncated_topic_stops_its_partition_and_names_the_offsets",
            _RECOVERY
            + "test_a_truncated_topic_stops_the_consumer_until_recover_and_a_resend_heal_it",
            _RECOVERY + "test_a_topic_made_again_stops_the_consumer_even_if_it_has_grown_past_the_"
            "position",
        ),
    ),
    Fault(
        15,
        "poison of every kind",
        (
            _CONSUMER + "test_poison_is_dead_lettered_with_its_bytes_and_reason_and_the_next_"
            "record_is_applied",
            "unit/test_schemas_properties.py",
        ),
    ),
    Fault(
        16,
        "decoder bombs",
        (
            "faults/test_sizes_and_texts.py",
            "unit/test_schemas_bombs.py",
            "unit/test_register_bombs.py",
        ),
    ),
    Fault(
        17,
        "NUL, surrogates, rare characters, far years",
        (
            "faults/test_sizes_and_texts.py",
            "unit/test_schemas_codec.py",
            "unit/test_register_characters.py",
            "unit/test_register_lost_digits.py",
            "unit/test_register_workbooks.py",
            "unit/test_register_workbook_layouts.py",
            "integration/test_importing_spoilt.py",
        ),
    ),
    Fault(
        18,
        "record at the size limit",
        ("faults/test_sizes_and_texts.py", "unit/test_schemas_codec.py"),
    ),
    Fault(
        19,
        "event of a node that is not its emitter, replayed event",
        (
            _CONSUMER + "test_an_event_on_a_strange_uplink_is_refused",
            _CONSUMER + "test_a_record_that_comes_twice_is_in_the_ledger_once_and_counted",
            _RECOVERY + "test_a_foreign_event_on_an_uplink_stays_refused_while_nobody_recovers",
            "faults/test_strangers.py",
        ),
    ),
    Fault(
        20,
        "every event twice, in any order",
        (
            "faults/test_order_and_repeats.py",
            "unit/test_fold.py",
            "unit/test_four_nodes.py",
        ),
    ),
    Fault(
        21,
        "nothing but poison, or no dead-letter topic",
        (
            "integration/test_dead_letter_limits.py",
            _OFFSETS + "test_without_its_dead_letter_topic_the_loop_stops_and_the_offset_stays",
        ),
    ),
    Fault(22, "wrong clocks", ("faults/test_clocks.py",)),
    Fault(23, "a case of 10,000 events, a burst", ("faults/test_bursts.py",)),
    Fault(
        24,
        "SIGTERM at any moment",
        (_DEGRADED + "test_nodes_stopped_under_load_end_with_exit_code_0_and_lose_nothing",),
    ),
    Fault(25, "all of these at random", ("faults/test_random_minute.py",)),
    Fault(
        27,
        "a centre or province restored from backup that had not dispatched its cases",
        ("integration/test_own_topic.py",),
    ),
    Fault(
        35,
        "the feed read over a restore or a failover",
        (
            "faults/test_feed_restored.py",
            "unit/test_feed_history.py",
            "long/test_feed_failover.py",
        ),
    ),
    Fault(36, "processes of two releases at one database", ("faults/test_other_releases.py",)),
    Fault(
        37,
        "Postgres frozen, a synchronous standby gone, statement_timeout, SQLSTATE 54000, a pooler, "
        "another encoding or language",
        (
            "faults/test_answers.py",
            "faults/test_database_refuses.py::"
            "test_a_batch_that_takes_longer_than_statement_timeout_is_tried_in_smaller_ones",
            "faults/test_database_refuses.py::"
            "test_a_record_too_large_for_an_index_is_dead_lettered_alone",
            "faults/test_refused_connections.py",
            "faults/test_poolers.py",
            "long/test_postgres_waits.py",
        ),
    ),
    Fault(
        38,
        "an asynchronous standby promoted under load, a few commits short",
        ("integration/test_command_gate.py", "long/test_promoted_standby.py"),
    ),
    Fault(
        26,
        "a ledger row deleted, added or altered, a value that no longer decodes",
        ("integration/test_scrub.py", "integration/test_scrub_pass.py"),
    ),
    Fault(
        28,
        "transaction markers, aborted records, gaps",
        ("integration/test_transaction_markers.py", "integration/test_compacted_topic.py"),
    ),
    Fault(
        29,
        "every codec, a batch that cannot be read",
        ("integration/test_compression.py", "unit/test_unpacking.py"),
    ),
    Fault(
        30,
        "a dead letter discarded, or of many events",
        ("integration/test_healing_letters.py",),
    ),
    Fault(
        31,
        "one topic deleted or made again; control topics too",
        (
            _STOPPED + "test_a_deleted_topic_stops_alone_is_named_and_flows_again_once_it_is_made_"
            "and_recovered",
            "integration/test_denied_topic.py",
            "integration/test_recreated_topics.py",
            _STOPPED_DESTINATIONS + "test_a_destination_whose_topic_is_deleted_holds_up_no_other",
            _STOPPED_DESTINATIONS
            + "test_a_control_topic_that_is_deleted_leaves_its_peer_out_and_no_other",
            _STOPPED + "test_a_topic_of_poison_stops_alone_and_flows_again_when_its_letters_are_"
            "dealt_with",
        ),
    ),
    Fault(
        32,
        "a control message out of bounds",
        ("integration/test_control_messages.py",),
    ),
    Fault(34, "a clock hours or years wrong", ("integration/test_clock_skew.py",)),
    Fault(
        39,
        "one host name and port on two machines",
        ("integration/test_consumer_identity.py",),
    ),
    Fault(
        40,
        "slow clients by the hundred, slow JSON and forms, foreign names, changed cursors",
        (
            "integration/test_web_slow_clients.py",
            "integration/test_web_hosts.py",
            "integration/test_web_cursors_changed.py",
            "unit/test_web_reading.py",
            "unit/test_register_bombs.py",
            "unit/test_cli_terminal.py",
            "unit/test_dsn.py",
        ),
    ),
)
