"""Protections against what strangers may send: to the web service, in files, to a terminal."""

from protection import Protection

_READING = "tests/unit/test_web_reading.py::"
_SLOW = "tests/integration/test_web_slow_clients.py::"
_HOSTS = "tests/integration/test_web_hosts.py::"
_ENQUIRY_EVALUATION = "tests/integration/test_enquiry_evaluation.py::"
_ENQUIRY_LIMITS = "tests/integration/test_enquiry_limits.py::"
_TERMINAL = "tests/unit/test_cli_terminal.py::"

_HEAVY = "tests/integration/test_web_heavy.py::"

WEB = (
    Protection(
        "heavy queries leave connections to all others 重查询",
        "40",
        "node/entrypoints/web/api/figures.py",
        "with services.heavy() as connection:\n        return indicators(",
        "with services.connections() as connection:\n        return indicators(",
        (_HEAVY + "test_however_many_ask_for_indicators_cases_and_commands_get_a_connection",),
    ),
    Protection(
        "what exceeds a limit of Postgres is the request's fault",
        "37",
        "node/entrypoints/web/problems.py",
        "if is_too_large(error):",
        "if False:",
        (_HEAVY + "test_what_exceeds_a_limit_of_postgres_is_422_and_changes_nothing",),
    ),
    Protection(
        "a repeated name in JSON is found in linear time",
        "40",
        "node/entrypoints/web/json_body.py",
        "        if name in known:\n            return name\n        known.add(name)",
        "        if sum(1 for other, _ in pairs if other == name) > 1:\n            return name",
        (_READING + "test_a_repeated_name_is_found_in_linear_time",),
    ),
    Protection(
        "the names of a JSON body are counted",
        "40",
        "node/entrypoints/web/json_body.py",
        "if self._counted > MAX_NAMES:",
        "if self._counted < 0:",
        (_READING + "test_a_body_of_very_many_names_is_refused",),
    ),
    Protection(
        "the fields of a form are counted before it is split",
        "40",
        "node/entrypoints/web/request_limits.py",
        'body.count(b"&") + body.count(b";") >= MAX_FORM_FIELDS',
        "not body",
        (_READING + "test_a_form_of_very_many_fields_is_refused_before_it_is_split",),
    ),
    Protection(
        "each route has its own limit of a body",
        "40",
        "node/entrypoints/web/request_limits.py",
        'allowed = _BODIES.get(scope["path"], _OTHER)',
        'allowed = _BODIES["/v1/commands"]',
        (_READING + "test_each_route_reads_no_more_than_it_needs",),
    ),
    Protection(
        "slow clients are ended",
        "40",
        "node/entrypoints/web/client_limits.py",
        "            if reason:\n",
        "            if not reason and reason:\n",
        (
            _SLOW + "test_a_client_that_stops_in_the_middle_is_ended",
            _SLOW + "test_a_client_that_does_not_read_its_answer_is_ended",
            _SLOW + "test_a_second_request_has_no_more_time_than_the_first",
        ),
    ),
    Protection(
        "connections stay below the descriptors of the process",
        "40",
        "node/entrypoints/web/client_limits.py",
        "soft - _RESERVED_DESCRIPTORS",
        "soft * 4",
        (_SLOW + "test_slow_clients_by_the_hundred_do_not_stop_a_process_of_256_descriptors",),
    ),
    Protection(
        "one address has a half of the connections",
        "40",
        "node/entrypoints/web/client_limits.py",
        "return max(1, self.connections // 2)",
        "return self.connections",
        (_SLOW + "test_one_address_never_has_more_than_its_half_and_others_are_answered",),
    ),
    Protection(
        "a body in very many chunks is refused",
        "40",
        "node/entrypoints/web/client_limits.py",
        "if self._chunks > MAX_CHUNKS:",
        "if self._chunks < 0:",
        (_SLOW + "test_a_body_in_very_many_chunks_is_refused",),
    ),
    Protection(
        "silent scrapes make room for others",
        "40",
        "node/runtime/metrics_server.py",
        "while len(self._open) >= MOST_CONNECTIONS:",
        "while len(self._open) < 0:",
        (_SLOW + "test_silent_scrapes_keep_nobody_from_the_metrics",),
    ),
    Protection(
        "a scrape has a bound of time",
        "40",
        "node/runtime/metrics_server.py",
        "if since < before]:",
        "if since < before - 1e9]:",
        (_SLOW + "test_a_scrape_that_stops_in_the_middle_has_a_bound",),
    ),
    Protection(
        "metrics listen on loopback",
        "40",
        "node/runtime/metrics_server.py",
        "server = MetricsServer(address, port, metrics)",
        'server = MetricsServer("0.0.0.0", port, metrics)',
        (_SLOW + "test_metrics_are_answered_on_loopback_only",),
    ),
    Protection(
        "only names of the node are answered 主机名",
        "40",
        "node/entrypoints/web/hosts.py",
        "return host in self._allowed or _is_address(host, local[0])",
        "return bool(local)",
        (_HOSTS + "test_under_a_foreign_name_nothing_is_read_or_written",),
    ),
    Protection(
        "a form of another site is refused",
        "40",
        "node/entrypoints/web/hosts.py",
        "return site.lower() in _OWN_SITE",
        "return True",
        (_HOSTS + "test_a_form_of_another_site_is_refused",),
    ),
    Protection(
        "the instant of a cursor is brought to UTC",
        "40",
        "node/entrypoints/web/cursors.py",
        "return instant.astimezone(UTC)",
        "return instant",
        (
            "tests/integration/test_web_cursors_changed.py::"
            "test_a_changed_cursor_is_a_page_or_a_problem_and_never_a_defect",
        ),
    ),
    Protection(
        "all the world is no trusted proxy",
        "40",
        "node/runtime/settings.py",
        "if network is None or network.prefixlen == 0:",
        'if network is None and name != "*":',
        ("tests/unit/test_settings.py::test_a_wrong_value_is_named",),
    ),
    Protection(
        "a ticket is good for the present code of its case only 凭据",
        "40",
        "node/entrypoints/web/pages/tickets.py",
        "\n      and query_code.digest = enquiry_ticket.code_digest",
        "",
        (_ENQUIRY_EVALUATION + "test_a_new_code_voids_the_old_one_and_is_audited",),
    ),
    Protection(
        "the use of a ticket is audited",
        "40",
        "node/entrypoints/web/pages/evaluate.py",
        "                    _audit(cursor, proven, evaluated)\n",
        "                    pass\n",
        (_ENQUIRY_EVALUATION + "test_a_ticket_is_nowhere_and_its_use_is_audited",),
    ),
    Protection(
        "wrong codes lock no case",
        "40",
        "node/enquiry_access/attempt_limit.py",
        "    if failures == CASE_ALERT_AN_HOUR + 1:",
        "    if failures > CASE_ALERT_AN_HOUR:\n        return Charge(allowed=False)\n"
        "    if failures == CASE_ALERT_AN_HOUR + 1:",
        (_ENQUIRY_LIMITS + "test_wrong_codes_from_anywhere_never_lock_the_petitioner_out",),
    ),
    Protection(
        "checks of codes that wait are bounded",
        "40",
        "node/entrypoints/web/pages/open_case.py",
        "if not _CHECKS.acquire(blocking=False):",
        "if not _CHECKS.acquire():",
        (
            _ENQUIRY_LIMITS + "test_when_too_many_codes_are_checked_at_once_the_page_says_so_and_"
            "others_are_answered",
        ),
    ),
    Protection(
        "a table shows escape codes",
        "40",
        "node/entrypoints/cli/output.py",
        "else escaped(str(cell))",
        "else str(cell)",
        (_TERMINAL + "test_a_table_shows_codes_in_cells_titles_and_columns",),
    ),
    Protection(
        "a log line shows escape codes and stays one line",
        "40",
        "node/entrypoints/cli/terminal.py",
        "return escaped(super().formatMessage(record), one_line=True)",
        "return super().formatMessage(record)",
        (_TERMINAL + "test_a_log_line_stays_one_line_and_shows_codes",),
    ),
    Protection(
        "a reject file is private where it was there before",
        "40",
        "producers/register/reject_file.py",
        "os.fchmod(number, PRIVATE_MODE)",
        "number = number",
        ("tests/unit/test_register_rejects.py::test_only_its_owner_reads_a_reject_file",),
    ),
    Protection(
        "a malformed address of the database is never quoted",
        "40",
        "node/runtime/dsn.py",
        "if _is_split_wrongly(dsn, fields):",
        "if not found and dsn:",
        ("tests/unit/test_dsn.py::test_a_malformed_address_is_refused_without_being_quoted",),
    ),
)
