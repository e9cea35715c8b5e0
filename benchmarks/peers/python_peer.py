"""A peer written in Python: a script and the pinned packages that it imports.

The packages stand in a requirements file beside the script and go into a virtual environment of
the peer's own, so that nothing of it ever reaches the product's.
"""

import hashlib
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.running import Course, course, postgres_environment, process
from node.localstack import LocalStack
from node.localstack.folder import PROJECT
from node.runtime.errors import PetitionLinkError
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
        given = course(stack, self._short, topic, events, self.part)
        command = [str(self._python), str(_SCRIPTS / f"{self.script}.py")]
        with process(stack, self._short, command, self._environment(given)) as running:
            return given.timed(running)

    def _environment(self, given: Course) -> dict[str, str]:
        return {
            "PEER_BROKER": given.broker,
            "PEER_TOPIC": given.topic,
            "PEER_GROUP": given.group,
            **postgres_environment(given.dsn),
            "PEER_SCHEMAS": str(FOLDER),
            "PEER_VARIANT": self.variant,
        }

    @property
    def _short(self) -> str:
        return self.script.removeprefix("with_")

    @property
    def _home(self) -> Path:
        return PEERS_FOLDER / self._short

    @property
    def _python(self) -> Path:
        return self._home / "bin" / "python"

    @property
    def _requirements(self) -> Path:
        return _SCRIPTS / f"{self.script}.txt"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "pip said nothing"
