"""Settings 设置 of one node, from environment variables with the prefix `PETITIONLINK_`.

`deploy/petitionlink.env` is the commented reference. For a node of the local stack,
`node.localstack.stack` adds the addresses, ports and keys.
"""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cases.errors import UnknownNode
from cases.nodes import known_node
from node.runtime.dsn import check_dsn
from node.runtime.errors import Fatal

ENV_PREFIX = "PETITIONLINK_"
_HOST_NAME = re.compile(r"[0-9A-Za-z._-]{1,253}|[0-9A-Fa-f:.]{2,45}")


def _address(dsn: SecretStr) -> SecretStr:
    check_dsn(dsn.get_secret_value())
    return dsn


def _node_code(code: str) -> str:
    try:
        return known_node(code).code
    except UnknownNode as error:
        raise ValueError(str(error)) from None


def names_of(text: str) -> list[str]:
    """Return the names in a setting, which commas separate."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _host_names(text: str) -> str:
    """Check names and addresses: without port, and no wildcard."""
    for name in names_of(text):
        if not _HOST_NAME.fullmatch(name):
            raise ValueError(
                f"{name[:100]!r} is no host name: write names as petitions.example, separated by "
                "commas, without port and without *"
            )
    return text


def _proxies(text: str) -> str:
    """Check addresses and networks of proxies; not the whole Internet, whose clients could lie."""
    for name in names_of(text):
        try:
            network = ipaddress.ip_network(name, strict=False)
        except ValueError:
            network = None
        if network is None or network.prefixlen == 0:
            raise ValueError(
                f"{name[:100]!r} is no address of a proxy: write each as 10.0.0.5 or 10.0.0.0/28, "
                "never *, because a trusted proxy may name any address as the client's"
            )
    return ",".join(names_of(text))


Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """The settings of a process of a node: frozen, validated, secrets as a type."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="ignore")

    node: Annotated[str, AfterValidator(_node_code)]
    postgres_dsn: Annotated[SecretStr, AfterValidator(_address)]
    kafka_bootstrap_servers: str = Field(min_length=1)
    http_address: str = Field(default="127.0.0.1", min_length=1)
    http_port: Port = 8080
    http_allowed_hosts: Annotated[str, AfterValidator(_host_names)] = ""
    http_trusted_proxies: Annotated[str, AfterValidator(_proxies)] = ""
    metrics_address: str = Field(default="127.0.0.1", min_length=1)
    metrics_port: Port = 9464
    key_folder: Path = Path("/etc/petitionlink/keys")
    actor: str = Field(default="system", min_length=1, max_length=100)
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    batch_records: int = Field(default=2000, ge=1, le=20000)
    reconcile_seconds: int = Field(default=600, ge=5, le=86_400)
    dead_letter_consecutive: int = Field(default=100, ge=1, le=1_000_000)
    dead_letter_ratio: float = Field(default=0.5, gt=0, le=1)
    dead_letter_window: int = Field(default=1000, ge=200, le=100_000)
    outbox_days: int = Field(default=30, ge=1, le=3650)
    dead_letter_days: int = Field(default=180, ge=1, le=3650)
    scrub_events_per_second: int = Field(default=200, ge=0, le=1_000_000)
    relay_records_per_second: int = Field(default=0, ge=0, le=1_000_000)
    clock_bound_seconds: int = Field(default=300, ge=1, le=86_400)
    clock_refuse_seconds: int = Field(default=3600, ge=1, le=86_400)
    evaluation_grace_hours: int = Field(default=24, ge=0, le=876_000)
    supervision: Annotated[str, Field(pattern="^(off|dry_run|issue)$")] = "dry_run"
    supervision_policy: str = ""
    supervision_minutes: int = Field(default=60, ge=1, le=10080)

    @property
    def dsn(self) -> str:
        """Return the Postgres address in the clear, for the driver only."""
        return self.postgres_dsn.get_secret_value()

    def shown(self) -> dict[str, Any]:
        """Return the settings as an operator may see them, with secrets hidden."""
        return self.model_dump(mode="json")


def load_settings(known: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings of the environment; values in `known`, by field name, replace them.

    Raises `Fatal` with one line that names each wrong or missing setting.
    """
    try:
        return Settings(**(known or {}))
    except ValidationError as error:
        raise Fatal(_explained(error, environment_alone=not known)) from None


def _explained(error: ValidationError, *, environment_alone: bool) -> str:
    problems = []
    for problem in error.errors(include_url=False, include_input=False):
        name = ENV_PREFIX + "_".join(str(part) for part in problem["loc"]).upper()
        missing = problem["type"] == "missing"
        problems.append(f"{name} is not set" if missing else f"{name}: {problem['msg']}")
    hint = " (or pass --node CODE for a node of the local stack)" if environment_alone else ""
    return f"settings: {'; '.join(problems)}: see deploy/petitionlink.env{hint}"
