"""Protections against what becomes of Postgres and of those who write to it."""

from protection import Protection

_OFFSETS = "tests/integration/test_consumer_offsets.py::"
_REFUSES = (
    "tests/faults/test_database_refuses.py::"
    "test_a_database_that_cannot_serve_now_is_waited_for_and_nothing_is_dead_lettered"
)
_COMMITS = "tests/faults/test_commits.py::"
_ZOMBIES = "tests/faults/test_zombies.py::"

DATABASE = (
    Protection(
        "compare-and-set of positions 位点比较交换",
        "1, 3",
        "consumers/offsets.py",
        "\n        and held.next_offset = moved.before",
        "",
        (
            _OFFSETS + "test_a_zombie_rolls_back",
            _ZOMBIES + "test_a_consumer_frozen_with_a_batch_in_hand_is_fenced_when_it_wakes",
        ),
    ),
    Protection(
        "positions come from Postgres, not from Kafka",
        "1, 7",
        "consumers/group_membership.py",
        "                self._consumer.seek(partition, offset)\n",
        "                kept = self._consumer.committed(partition)\n"
        "                self._consumer.seek(partition, kept or offset)\n",
        (_OFFSETS + "test_positions_come_from_postgres_whatever_kafka_has_committed",),
    ),
    Protection(
        "positions are asked for again after a lost connection",
        "4",
        "consumers/session.py",
        "        self._reads.discard()\n        self._assignment.unsettle()\n",
        "        self._reads.discard()\n",
        (
            _COMMITS + "test_a_consumer_cut_off_in_a_batch_asks_what_became_of_it_and_applies_"
            "each_event_once",
        ),
    ),
    Protection(
        "the outcome of a command is asked for after a lost commit",
        "4",
        "node/entrypoints/web/execute_command.py",
        "            return was_committed(connection, lost.transaction)\n",
        "            return connection is None\n",
        (
            _COMMITS + "test_a_command_cut_off_at_its_commit_is_answered_by_what_became_of_it"
            "[Verdict.CUT_AFTER]",
        ),
    ),
    Protection(
        "an outcome that nobody can tell is said to be not known",
        "4",
        "producers/commands/handle.py",
        "        raise OutcomeUnknown(done, transaction) from error\n",
        "        raise\n",
        (
            _COMMITS + "test_a_command_whose_outcome_nobody_can_tell_says_so_and_its_key_tells_"
            "later",
            _COMMITS + "test_a_desk_cut_off_at_its_commit_is_told_that_the_outcome_is_not_known",
        ),
    ),
    Protection(
        "a frozen transaction is cut off by Postgres",
        "3",
        "node/postgres/connection.py",
        '                    cursor.execute(_LIMIT_FROZEN, (f"{_FROZEN_SECONDS}s",))\n',
        "",
        (
            _ZOMBIES + "test_a_consumer_frozen_in_its_transaction_holds_up_its_heir_for_a_moment_"
            "only",
        ),
    ),
    Protection(
        "disk full is waited for",
        "6",
        "node/runtime/errors.py",
        '    "53",  # insufficient',
        "    # insufficient",
        (_REFUSES,),
    ),
    Protection(
        "a serialization failure is tried again",
        "6",
        "node/runtime/errors.py",
        '    "40",  # serialization',
        "    # serialization",
        (_REFUSES,),
    ),
    Protection(
        "a read-only database is waited for",
        "6",
        "node/runtime/errors.py",
        '    "25006",  # read-only',
        "    # read-only",
        (_REFUSES,),
    ),
    Protection(
        "a lost privilege is no error of the data",
        "6",
        "node/runtime/errors.py",
        '_DATA_CLASSES = (\n    "22",',
        '_DATA_CLASSES = (\n    "42",\n    "22",',
        (
            "tests/faults/test_database_refuses.py::"
            "test_a_lost_privilege_stops_the_process_and_nothing_is_dead_lettered",
        ),
    ),
    Protection(
        "a reset in the middle of an answer is a lost connection",
        "10",
        "node/runtime/errors.py",
        " or type(error) is psycopg2.DatabaseError",
        "",
        ("tests/unit/test_node_errors.py::test_a_lost_connection_is_waited_for",),
    ),
)
