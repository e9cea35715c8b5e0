"""What a request needs 服务: settings, the office that acts, connections, the standing in Kafka."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from node.entrypoints.web.connection_pool import Connections
from node.entrypoints.web.heavy import Heavy
from node.entrypoints.web.partition_status import Standing
from node.keys.office import Office
from node.runtime.settings import Settings


@dataclass(frozen=True)
class Services:
    """Built once per web service."""

    settings: Settings
    office: Office
    connections: Connections
    heavy: Heavy
    standing: Standing = field(default_factory=Standing)


def services_of(request: Request) -> Services:
    """The services of the application that answers this request."""
    return cast(Services, request.app.state.services)


ServicesOf = Annotated[Services, Depends(services_of)]
