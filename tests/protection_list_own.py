"""Protections of the own topic and of the gate of commands."""

from protection import Protection

_OWN = "tests/integration/test_own_topic.py::"
_GATE = "tests/integration/test_command_gate.py::"

OWN = (
    Protection(
        "the centre's own events go to its own topic, dispatched or not",
        "27",
        "node/store/outbox.py",
        "    own = _own_copies(changes)\n",
        "    own: list[Owed] = []\n",
        (
            _OWN + "test_a_centre_and_a_province_restored_from_backup_have_their_undispatched_"
            "cases_again",
            _OWN + "test_the_own_copy_leaves_though_the_destination_has_no_topic",
        ),
    ),
    Protection(
        "own events of an older release are put on the own topic",
        "27",
        "producers/relay/own_topic.py",
        "self._backfills = own_backfill.step(self._connection, self._settings.node)",
        "self._backfills = False",
        (
            _OWN + "test_own_events_of_an_older_release_are_put_on_the_own_topic_batch_by_batch",
            _OWN + "test_an_own_topic_that_was_deleted_and_made_again_gets_every_own_event_again",
        ),
    ),
    Protection(
        "an own topic that was made again is noticed",
        "27, 31",
        "node/recovery/own_backfill.py",
        "        cursor.execute(_OTHER_TOPIC, values)\n",
        '        cursor.execute("select 0")\n',
        (_OWN + "test_an_own_topic_that_was_deleted_and_made_again_gets_every_own_event_again",),
    ),
    Protection(
        "what came home from the own topic is not published to it once more",
        "27",
        "node/recovery/own_events.py",
        "if partition.topic == own_topic(NATIONAL):",
        "if not tail.partition.topic:",
        (
            _OWN + "test_a_centre_and_a_province_restored_from_backup_have_their_undispatched_"
            "cases_again",
        ),
    ),
    Protection(
        "own rows that were published are pruned though nobody confirms them",
        "27",
        "node/store/retention.py",
        "(topic = %(own)s or exists (",
        "(topic <> %(own)s and exists (",
        (_OWN + "test_old_rows_of_the_own_topic_go_and_how_far_it_reaches_is_kept",),
    ),
    Protection(
        "a database other than the confirmed one takes no commands",
        "38",
        "node/store/command_gate.py",
        "    if confirmation(cursor) not in OPEN:\n",
        "    if confirmation(cursor) is None:\n",
        (
            _GATE + "test_a_database_that_was_put_back_takes_commands_when_its_own_events_are_home",
            _GATE + "test_whoever_would_emit_an_event_is_refused_in_one_clear_word",
            "tests/long/test_promoted_standby.py::test_a_standby_promoted_a_few_commits_short_"
            "takes_no_sequence_number_twice",
            _GATE + "test_a_routine_that_finds_the_gate_closed_waits_and_emits_nothing",
        ),
    ),
    Protection(
        "a command is not judged by a database that lacks its case",
        "38",
        "producers/commands/handle.py",
        "    command_gate.require_confirmed(cursor, office.node)\n",
        "",
        (
            _GATE + "test_a_command_is_refused_before_it_is_judged_by_a_database_that_lacks_its_"
            "case",
        ),
    ),
    Protection(
        "imports and routines ask the gate",
        "38",
        "node/store/write_events.py",
        "    command_gate.require_confirmed(cursor, node)\n",
        "",
        (_GATE + "test_a_routine_that_finds_the_gate_closed_waits_and_emits_nothing",),
    ),
    Protection(
        "a start of Postgres is trusted only while Kafka is away",
        "8, 38",
        "node/store/command_gate.py",
        "return Confirmation.TRUSTED if away else Confirmation.RESTARTED",
        "return Confirmation.TRUSTED",
        (
            _GATE + "test_while_kafka_is_away_only_the_database_that_was_confirmed_last_takes_"
            "commands",
        ),
    ),
    Protection(
        "what may still be on its way from a lost database is waited for",
        "38",
        "node/recovery/own_topics.py",
        "    remaining = settle_seconds - seconds\n",
        "    remaining = 0.0\n",
        (_GATE + "test_what_may_still_be_on_its_way_from_the_lost_database_is_waited_for",),
    ),
)
