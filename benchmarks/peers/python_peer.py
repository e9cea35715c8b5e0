"""A peer written in Python: a script and the pinned packages that it imports.

The packages stand in a requirements file beside the script and go into a virtual environment of
the peer's own, so that nothing of it ever reaches the product's.
"""

from __future__ import annotations

import hashlib
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.running import Task, Work, measured, postgres_environment
from node.errors import PetitionLinkError
from node.localstack import LocalStack
from node.localstack.folder import PROJECT
from schemas.catalogue import FOLDER

PEERS_FOLDER = PROJECT / ".local" / "peers"
_SCRIPTS = Path(__file__).with_name("scripts")
_STAMP = ".stamp"


@dataclass(frozen=True)
class PythonPeer:
    """The script `scripts/<script>.py`, run with what `scripts/<script>.txt` pins.

    `part` is how many events a slow one gets; `variant` is for its script to choose by.
    """

    name: str
    about: str
    script: str
    part: int | None = None
    variant: str = ""

    @property
    def versions(self) -> str:
        """The packages named in the requirements file."""
        lines = self._requirements.read_text(encoding="utf-8").splitlines()
        pinned = [line.replace("==", " ") for line in lines if line and not line.startswith("#")]
        return ", ".join(pinned)

    def install(self) -> None:
        """Make the virtual environment, once for each state of the requirements."""
        stamp = self._home / _STAMP
        digest = hashlib.sha256(self._requirements.read_bytes()).hexdigest()
        if stamp.is_file() and stamp.read_text() == digest:
            return
        venv.create(self._home, with_pip=True, clear=True)
        pip = [str(self._python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        done = subprocess.run(
            [*pip, "-r", str(self._requirements)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise PetitionLinkError(
                f"{self.name} cannot be installed, which needs the network: "
                f"{_last_line(done.stderr)}"
            )
        stamp.write_text(digest)

    def run(self, stack: LocalStack, topic: str, events: int) -> float:
        """See `Peer.run`."""
        return measured(stack, self.script, topic, events, self._work, part=self.part)

    def _work(self, task: Task) -> Work:
        environment = {
            "PEER_BROKER": task.broker,
            "PEER_TOPIC": task.topic,
            "PEER_GROUP": task.group,
            **postgres_environment(task.dsn),
            "PEER_SCHEMAS": str(FOLDER),
            "PEER_VARIANT": self.variant,
        }
        return Work([str(self._python), str(_SCRIPTS / f"{self.script}.py")], environment)

    @property
    def _home(self) -> Path:
        return PEERS_FOLDER / self.script.removeprefix("with_")

    @property
    def _python(self) -> Path:
        return self._home / "bin" / "python"

    @property
    def _requirements(self) -> Path:
        return _SCRIPTS / f"{self.script}.txt"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "pip said nothing"
