"""A Kafka Connect worker by its REST interface: ready, a connector more, a connector less."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from typing import Any

from node.localstack.ports import HOST
from node.runtime.errors import PetitionLinkError

_READY_SECONDS = 90
_ANSWER_SECONDS = 30
_AGAIN_SECONDS = 0.2


class Worker:
    """The worker that listens on a port of this machine."""

    def __init__(self, port: int) -> None:
        self.address = f"http://{HOST}:{port}"

    def await_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Raises `PetitionLinkError` if it ends or does not answer in time."""
        deadline = time.monotonic() + _READY_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                self._ask("GET", "/connectors")
            except (OSError, PetitionLinkError):  # it refuses what it has not loaded yet
                time.sleep(_AGAIN_SECONDS)
            else:
                return
        raise PetitionLinkError("Kafka Connect does not start: see .local/bench/logs/")

    def start(self, name: str, settings: dict[str, str]) -> None:
        """A connector of this name, whose group is `connect-<name>`."""
        self._ask("PUT", f"/connectors/{name}/config", settings)

    def delete(self, name: str) -> None:
        """Stop a connector for good; its tasks have ended when this returns."""
        self._ask("DELETE", f"/connectors/{name}")

    def _ask(self, method: str, path: str, body: Any = None) -> None:
        """Raises `PetitionLinkError` for a refusal, `OSError` if nobody answers."""
        request = urllib.request.Request(
            self.address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            urllib.request.urlopen(request, timeout=_ANSWER_SECONDS).close()
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode(errors="replace")
            raise PetitionLinkError(f"Kafka Connect refuses {method} {path}: {said}") from None
