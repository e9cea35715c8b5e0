"""Protections of the feed over a restore, between releases, and against what Postgres is set to."""

from protection import Protection

_MODEL = (
    "tests/unit/test_feed_history.py::"
    "test_a_reader_has_seen_every_event_of_whichever_database_it_reads_to_the_end"
)
_RESTORED = "tests/faults/test_feed_restored.py::"
_FILES = _RESTORED + ("test_files_put_back_give_numbers_again_and_the_reader_has_every_new_event")
_DUMP = _RESTORED + "test_a_dump_loaded_into_a_younger_server_is_read_on_and_from_the_start"
_RELEASES = "tests/faults/test_other_releases.py::"
_POOLERS = "tests/faults/test_poolers.py::"
_REFUSED = "tests/faults/test_refused_connections.py::"
_MIGRATION = "node/postgres/migrations/0012_one_history.sql"

PGRULES = (
    Protection(
        "a cursor after the end of its epoch goes back to that end 沿革",
        "35",
        "node/queries/database_history.py",
        "            if bound is not None and place.position > bound:\n",
        "            if bound is not bound:\n",
        (_MODEL, _FILES),
    ),
    Protection(
        "a cursor of a history that went on differently goes back to the common epoch",
        "35",
        "node/queries/database_history.py",
        "        if name != place.epochs[0]:\n",
        "        if not name:\n",
        (_MODEL,),
    ),
    Protection(
        "rows of an earlier generation are shown whatever their transaction",
        "35",
        "node/queries/feed.py",
        "        query = _RUNNING if part.end_row is None else _ENDED\n",
        "        query = _RUNNING\n",
        (_DUMP,),
    ),
    Protection(
        "an epoch is noted before the first event of a run of Postgres",
        "35",
        _MIGRATION,
        "    perform note_feed_epoch();\n    return null;\n",
        "    return null;\n",
        (_RESTORED + "test_an_old_connection_that_writes_after_a_restore_notes_the_epoch_first",),
    ),
    Protection(
        "a connection of another release writes nothing",
        "36",
        _MIGRATION,
        "    raise exception using errcode = 'PL001'",
        "    raise notice using errcode = 'PL001'",
        (
            _RELEASES + "test_a_connection_that_outlives_a_migration_writes_nothing_more",
            _RELEASES + "test_a_process_of_a_release_without_versions_is_refused_by_its_name",
            _RELEASES + "test_a_relay_beside_a_new_database_ends_with_a_clear_word",
        ),
    ),
    Protection(
        "migrate refuses while processes of the release before are connected",
        "36",
        "node/postgres/connection.py",
        "            postgres_schema_version.await_no_processes(connection, wait_seconds)\n",
        "            pass\n",
        (_RELEASES + "test_migrate_names_the_processes_that_still_run_and_changes_nothing",),
    ),
    Protection(
        "a process looks for the migration of its release when it connects",
        "36",
        "node/postgres/connection.py",
        "postgres_schema_version.check_version(\n        cursor, node,",
        "print(cursor, node,",
        (
            _RELEASES + "test_a_new_release_on_an_unmigrated_database_says_run_migrate[status]",
            _RELEASES + "test_an_old_release_on_a_newer_database_says_so",
        ),
    ),
    Protection(
        "a process that only reads hears of a migration",
        "36",
        "node/queries/database_gauges.py",
        "            check_version(cursor, self._settings.node, schema_version())\n",
        "",
        (_RELEASES + "test_a_process_that_only_reads_notices_the_migration_too",),
    ),
    Protection(
        "an encoding that loses characters is refused",
        "37",
        "node/postgres/schema_version.py",
        "    if encoding != _WANTED_ENCODING:\n",
        "    if not encoding:\n",
        (
            _REFUSED + "test_a_database_that_is_not_in_utf_8_is_refused_by_migrate_and_at_the_"
            "start[EUC_CN]",
        ),
    ),
    Protection(
        "a refusal is recognised by its SQLSTATE, in any language",
        "37",
        "node/postgres/connection_errors.py",
        "_ONLY_SQLSTATE = 3  #",
        "_ONLY_SQLSTATE = 1  #",
        (_REFUSED + "test_a_refusal_in_chinese_is_recognised_by_its_code[a wrong password]",),
    ),
    Protection(
        "a pooler that changes sessions is noticed at the start",
        "37",
        "node/postgres/connection.py",
        "        pooler_check.check(dsn, made, pid)\n",
        "",
        (
            _POOLERS + "test_other_modes_are_refused_at_once[more0-transaction]",
            _POOLERS + "test_every_command_says_so_in_one_line_and_a_node_ends",
        ),
    ),
)
