"""Protections of every wait on Postgres, and of the size of what is asked of it."""

from protection import Protection

_ANSWERS = "tests/faults/test_answers.py::"
_REFUSES = "tests/faults/test_database_refuses.py::"
_WAITS = "tests/long/test_postgres_waits.py::"

PGWAITS = (
    Protection(
        "a statement without an answer ends",
        "37",
        "node/runtime/watchdog.py",
        "            ours.shutdown(socket.SHUT_RDWR)\n",
        "            ours.fileno()\n",
        (_ANSWERS + "test_a_statement_without_an_answer_ends_with_its_connection",),
    ),
    Protection(
        "a COMMIT has a limit of its own",
        "37",
        "node/runtime/watchdog.py",
        "        with self.watch.for_commit():\n            super().commit()\n",
        "        super().commit()\n",
        (_ANSWERS + "test_a_commit_without_an_answer_ends_and_its_outcome_is_unknown",),
    ),
    Protection(
        "a patient statement is judged by whether Postgres answers others",
        "37",
        "node/runtime/watchdog.py",
        "            if hurried or not self.limit.patient:\n",
        "            if True:\n",
        (_ANSWERS + "test_a_patient_statement_takes_its_time_while_postgres_answers_others",),
    ),
    Protection(
        "SIGTERM waits for no answer",
        "24, 37",
        "node/runtime/supervisor.py",
        "    hurry(policy.hurry_seconds)\n",
        "",
        (_ANSWERS + "test_a_worker_that_waits_for_an_answer_ends_soon_after_sigterm",),
    ),
    Protection(
        "commits that no standby confirms are not ready",
        "37",
        "node/entrypoints/web/api/status.py",
        "return _not_ready(description(waiting)) if waiting else ",
        "return ",
        (
            _WAITS + "test_commits_without_their_standby_are_not_known_and_hold_up_neither_reads_"
            "nor_sigterm",
        ),
    ),
    Protection(
        "a batch that was too slow is tried in smaller ones",
        "37",
        "consumers/session.py",
        "                self._step.too_slow(len(batch))\n",
        "                pass\n",
        (
            _REFUSES + "test_a_batch_that_takes_longer_than_statement_timeout_is_tried_in_smaller_"
            "ones",
        ),
    ),
    Protection(
        "a take whose mark was too slow is made smaller",
        "37",
        "producers/relay/relay.py",
        "                self._rows.too_slow(self._rows.now)\n",
        "                pass\n",
        (
            _REFUSES + "test_a_batch_that_takes_longer_than_statement_timeout_is_tried_in_smaller_"
            "ones",
        ),
    ),
    Protection(
        "a value too large for Postgres concerns one record",
        "37",
        "node/runtime/errors.py",
        '    "54",  # program limit',
        "    # program limit",
        (
            _REFUSES + "test_a_record_too_large_for_an_index_is_dead_lettered_alone",
            "tests/integration/test_importing.py::"
            "test_a_row_that_postgres_refuses_is_rejected_alone",
        ),
    ),
    Protection(
        "an import is written in parts that Postgres has time for",
        "37",
        "producers/register_import/import_rows.py",
        "(is_data_error(error) or is_too_slow(error))",
        "is_data_error(error)",
        (
            "tests/integration/test_importing.py::"
            "test_a_chunk_that_takes_longer_than_statement_timeout_is_written_in_parts",
        ),
    ),
    Protection(
        "what takes too long is pruned in smaller batches",
        "37",
        "node/store/retention.py",
        "        size.too_slow(tried)\n",
        "        raise\n",
        (
            "tests/integration/test_housekeeping.py::"
            "test_what_takes_longer_than_statement_timeout_is_pruned_in_smaller_batches",
        ),
    ),
)
