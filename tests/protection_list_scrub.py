"""Protections of the scrub: rows are recomputed from their bytes, and healed."""

from protection import Protection

_SCRUB = "tests/integration/test_scrub.py::"
_SCRUB_PASS = "tests/integration/test_scrub_pass.py::"

SCRUB = (
    Protection(
        "a value is compared with its digest 校验",
        "26",
        "node/store/row_check.py",
        "if computed != digest or event.event_id != row.event_id:",
        "if event.event_id != row.event_id:",
        (_SCRUB + "test_reconcile_and_audit_claim_only_what_they_looked_at",),
    ),
    Protection(
        "rows are compared with the kept digests 校验",
        "26",
        "node/scrub/verifier.py",
        "if digest_check.agree(kept, recorded) or digest_check.agree(kept, by_bytes):",
        "if kept is not None:",
        (
            _SCRUB + "test_a_truncated_ledger_comes_back_whole",
            _SCRUB + "test_a_row_that_nobody_sent_is_named_and_moved_to_quarantine",
        ),
    ),
    Protection(
        "damage is not sent to other nodes",
        "26",
        "producers/relay/outbox_reader.py",
        "damaged = digest not in (0, of_event(",
        "damaged = wire == (0, of_event(",
        (_SCRUB + "test_one_letter_changed_in_a_value_is_never_sent_on_and_is_healed",),
    ),
    Protection(
        "a lost event that comes back is not passed on again 失而复得",
        "26",
        "consumers/apply_batch.py",
        "        restores=True,\n",
        "",
        (_SCRUB + "test_a_truncated_ledger_comes_back_whole",),
    ),
    Protection(
        "own events that are damaged come home",
        "26",
        "node/scrub/repair.py",
        "if context.node in lost or unknown:",
        "if unknown:",
        (_SCRUB + "test_an_own_event_that_is_damaged_comes_home",),
    ),
    Protection(
        "different bytes for one id are named 异值",
        "26",
        "node/reconcile/responder.py",
        "if event_id in events and events[event_id].digest != digest",
        "if event_id not in events and digest is None",
        (
            _SCRUB + "test_one_id_with_different_bytes_at_two_nodes_is_named_at_both_and_never_"
            "chosen",
        ),
    ),
    Protection(
        "rows are counted against the digests before a claim",
        "26",
        "node/entrypoints/cli/ledger_state.py",
        "wrong = [each for each in self.rows if each.differs]",
        "wrong: list[Counted] = []",
        (_SCRUB + "test_reconcile_and_audit_claim_only_what_they_looked_at",),
    ),
    Protection(
        "a rebuild does not swap a loss in 重建",
        "26",
        "node/rebuild/run.py",
        "self._losses.check()",
        "",
        (_SCRUB_PASS + "test_rebuild_does_not_swap_a_loss_in",),
    ),
    Protection(
        "the scrub goes on where it stood",
        "26",
        "node/scrub/worker.py",
        "self._settings.node, state.last_case, size)",
        'self._settings.node, "", size)',
        (_SCRUB_PASS + "test_a_pass_goes_on_where_the_last_process_stood_and_keeps_to_its_rate",),
    ),
    Protection(
        "mass damage is left to a person",
        "26",
        "node/scrub/worker.py",
        "heals=state.quarantined < self._policy.most_quarantined",
        "heals=True",
        (_SCRUB_PASS + "test_more_damage_than_one_accident_is_named_and_left_to_a_person",),
    ),
)
