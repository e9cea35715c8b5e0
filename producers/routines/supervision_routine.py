"""Run routine supervision at the centre: off, dry_run or issue, by the settings."""

import logging
from collections import Counter
from typing import Final

from cases.errors import Refusal
from node.keys.office import Office
from node.postgres.connection import Connection
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop
from producers.routines import supervision
from producers.routines.routine import Resting, Routine
from producers.routines.supervision_policy import Policy, policy_file, read_policy
from schemas.instants import Clock, now_micros

log = logging.getLogger(__name__)

ACTOR: Final = "routine:supervising"
# A refused proposal would be refused in the next rounds too.
_REST_SECONDS = 86_400.0


class Supervising(Routine):
    """The routine of supervision; a worker for `node.runtime.supervisor`."""

    name = "supervising"

    def __init__(self, settings: Settings, clock: Clock = now_micros) -> None:
        super().__init__(settings, clock)
        self._mode = settings.supervision
        self._period_seconds = settings.supervision_minutes * 60.0
        self._policy: Policy | None = None
        self._resting = Resting(_REST_SECONDS)

    def session(self, stop: Stop) -> None:
        """Read the policy, or raise `Fatal`; then do round after round until `stop`."""
        if self._mode != "off":
            self._policy = self._read()
        if self._policy is None:
            stop.wait()
            return
        super().session(stop)

    def round(self, connection: Connection, office: Office, stop: Stop) -> float:
        """Do one dry run, or issue once."""
        assert self._policy is not None
        if self._mode == "issue":
            self._issue(connection, office, self._policy, stop)
        else:
            found = supervision.dry_run(connection, office, self._policy, ACTOR)
            if found.proposals:
                log.info("dry run: %d supervisions would be issued", len(found.proposals))
        return self._period_seconds

    def _read(self) -> Policy | None:
        """Return the policy; None if the default file was not shipped, as in a wheel."""
        path = policy_file(self._settings.supervision_policy)
        if not path.exists() and not self._settings.supervision_policy and self._mode == "dry_run":
            log.warning(
                "no supervision policy: name one in PETITIONLINK_SUPERVISION_POLICY, or set "
                "PETITIONLINK_SUPERVISION=off"
            )
            return None
        return read_policy(path)

    def _issue(self, connection: Connection, office: Office, policy: Policy, stop: Stop) -> None:
        try:
            resting = self._resting.case_ids()
            _, outcomes = supervision.issue(connection, office, policy, ACTOR, resting)
        except Refusal as error:
            log.warning("nothing is issued: %s", error)
            return
        results: Counter[str] = Counter()
        for outcome in outcomes:
            results[outcome.rule or "issued"] += 1
            if outcome.error:
                self._resting.add([outcome.proposal.case_id])
                log.warning("not issued: %s", outcome.error)
            if stop.is_set():
                break
        if results:
            log.info("supervisions: %s", dict(results))
