"""Protections of the proof between nodes, of recovery and of limits."""

from protection import Protection

_PROOF = "tests/integration/test_reconciliation.py::"
_ACCOUNTS = "tests/integration/test_accounts.py::"
_HEALING = "tests/integration/test_healing_letters.py::"
_RECOVERY = "tests/integration/test_recovery.py::"
_LIMITS = "tests/integration/test_dead_letter_limits.py::"
_LETTERS = "tests/integration/test_dead_letters.py::"
_DEAD_LETTERS_REPLAYED = "tests/integration/test_dead_letters_replayed.py::"
_OFFLINE = "tests/integration/test_offline.py::"
_RELAY_RATE = "tests/integration/test_relay_rate.py::"

PROOF = (
    Protection(
        "digests are written with the events 摘要",
        "25",
        "node/store/outbox.py",
        "[*digests.delta_statements(shares), *_added(cursor, owed)]",
        "_added(cursor, owed)",
        (_PROOF + "test_nodes_that_hold_the_same_prove_it_in_one_exchange",),
    ),
    Protection(
        "what is on its way is no loss 切面",
        "9, 25",
        "node/reconcile/responder.py",
        "if ours[bucket] != theirs[bucket]",
        "if digests.buckets(cursor, peer)[bucket] != said.buckets[bucket]",
        (_PROOF + "test_a_proof_under_load_takes_nothing_that_is_on_its_way_for_a_loss",),
    ),
    Protection(
        "what is missing is sent again by its source 补发",
        "14",
        "node/reconcile/resend.py",
        "return node in (NATIONAL, event.emitter)",
        "return False",
        (
            _PROOF + "test_a_lost_event_is_named_in_three_exchanges_and_sent_again_by_its_source",
            _PROOF + "test_an_event_that_the_centre_lost_is_sent_again_by_its_province",
        ),
    ),
    Protection(
        "a batch is accounted for in its own transaction 收支",
        "25",
        "consumers/apply_batch.py",
        "flow_entries(node, results))\n",
        "{})\n",
        (
            _ACCOUNTS + "test_both_ends_tell_the_same_of_what_was_committed_published_received_"
            "and_applied",
        ),
    ),
    Protection(
        "below the receiver's position nothing is in flight",
        "14",
        "node/reconcile/flow_audit.py",
        'and o."offset" >= p.position and not o.resent',
        "and not o.resent",
        (_ACCOUNTS + "test_a_record_that_was_skipped_is_unaccounted_named_and_healed",),
    ),
    Protection(
        "own events come home from own topics 回归",
        "7",
        "node/recovery/own_events.py",
        "reader.read(tail)",
        "pass",
        (
            _RECOVERY + "test_a_province_restored_from_last_nights_backup_has_all_its_own_"
            "events_again",
        ),
    ),
    Protection(
        "a letter that is discarded leaves the accounts",
        "30",
        "consumers/admin/resolve.py",
        "run(cursor, flow_counts.delta_statements(closed(letter)))",
        "run(cursor, ())",
        (
            _HEALING + "test_a_letter_explains_its_event_until_it_is_discarded_and_hides_no_loss_"
            "afterwards",
        ),
    ),
    Protection(
        "a proof that is ahead of the receiver's account sends nothing again",
        "30",
        "node/reconcile/resend.py",
        'and o."offset" >= coalesce(p.next_offset, 0))\n    order by',
        'and o."offset" is null)\n    order by',
        (_HEALING + "test_a_proof_that_comes_before_the_receivers_account_makes_no_second_letter",),
    ),
    Protection(
        "own events come home from peers while recovering",
        "7",
        "node/reconcile/resend.py",
        "return peer_recovers",
        "return False",
        (
            _RECOVERY + "test_a_province_whose_database_and_log_are_lost_comes_back_complete_"
            "from_the_centre",
        ),
    ),
    Protection(
        "the centre takes its own events from uplinks, while recovering only",
        "7, 19",
        "consumers/session.py",
        "return is_recovering(cursor)",
        "return False",
        (
            _RECOVERY + "test_a_centre_whose_database_and_log_are_lost_comes_back_complete_"
            "from_its_provinces",
        ),
    ),
    Protection(
        "an own event on an uplink is refused while nobody recovers",
        "19",
        "consumers/session.py",
        "return is_recovering(cursor)",
        "return True",
        (_RECOVERY + "test_a_foreign_event_on_an_uplink_stays_refused_while_nobody_recovers",),
    ),
    Protection(
        "a topic that was made again is another topic",
        "14",
        "consumers/offsets.py",
        "where held.topic_id <> seen.id order by 1",
        "where false order by 1",
        (
            _RECOVERY + "test_a_topic_made_again_stops_the_consumer_even_if_it_has_grown_past_"
            "the_position",
        ),
    ),
    Protection(
        "poison in a row stops the loop 死信上限",
        "21",
        "consumers/dead_letter_limits.py",
        "if self._consecutive > self._limits.consecutive:",
        "if self._consecutive < 0:",
        (
            _LIMITS + "test_nothing_but_poison_stops_the_loop_before_anything_of_it_is_"
            "dead_lettered",
            _LIMITS + "test_a_supervisor_that_starts_it_again_and_again_does_not_drain_the_topic",
        ),
    ),
    Protection(
        "too great a share of poison stops the loop",
        "21",
        "consumers/dead_letter_limits.py",
        "if records < LEAST_RECORDS or dead <= self._limits.ratio * records:",
        "if records > 0:",
        (_LIMITS + "test_too_great_a_share_stops_it_although_good_records_come_between",),
    ),
    Protection(
        "poison that only Postgres refuses counts too 死信上限",
        "21",
        "consumers/apply_batch.py",
        "self._guard.check(connection, batch)",
        "",
        (
            _LIMITS + "test_what_only_postgres_refuses_counts_too_and_no_more_of_it_is_drained_by_"
            "starting_again",
        ),
    ),
    Protection(
        "an open dead letter is held while it is dealt with 死信处置",
        "15",
        "consumers/admin/resolve.py",
        "from dead_letter where id = %s for update",
        "from dead_letter where id = %s",
        (_DEAD_LETTERS_REPLAYED + "test_two_who_replay_one_letter_at_once_do_it_once",),
    ),
    Protection(
        "a replayed dead letter is accounted for as applied 死信处置",
        "15",
        "consumers/admin/replay.py",
        "count_flow(cursor, [outcome], now, _flow_changes(node, letter, outcome))",
        "count_flow(cursor, [outcome], now, {})",
        (
            _DEAD_LETTERS_REPLAYED
            + "test_the_accounts_count_a_replayed_letter_as_applied_and_no_longer_as_dead",
        ),
    ),
    Protection(
        "a look at the payload of a dead letter is on record 死信处置",
        "15",
        "node/entrypoints/cli/dead_letters.py",
        "audit_log.note(cursor, settings.actor, _SEEN, place)",
        "",
        (_LETTERS + "test_a_payload_is_shown_only_when_asked_for_and_each_look_is_on_record",),
    ),
    Protection(
        "what waits of a case becomes urgent with it 重大紧急",
        "9",
        "node/store/outbox.py",
        "if risen:",
        "if not changes:",
        (_OFFLINE + "test_a_case_that_becomes_urgent_in_the_middle_of_a_backlog_keeps_its_order",),
    ),
    Protection(
        "a promotion never waits for the relay's marks",
        "9",
        "node/store/outbox.py",
        "for update of o skip locked",
        "for update of o",
        (_OFFLINE + "test_a_promotion_never_waits_for_rows_that_are_being_marked",),
    ),
    Protection(
        "a backlog is sent at the rate that is set 限速",
        "9",
        "producers/relay/relay.py",
        "self._limiter.spend(len(pending))",
        "",
        (_RELAY_RATE + "test_while_no_time_passes_one_burst_is_sent_and_the_relay_waits",),
    ),
    Protection(
        "a paced wait ends with the process",
        "24",
        "producers/relay/relay.py",
        "while not stop.wait(self._limiter.wait_seconds()):",
        "while not stop.is_set() and not Stop().wait(self._limiter.wait_seconds()):",
        (_RELAY_RATE + "test_stop_interrupts_a_paced_wait",),
    ),
)
