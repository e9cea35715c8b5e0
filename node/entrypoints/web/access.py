"""Who may use the web service 访问控制: the one place where staff will be asked who they are.

Nobody is asked yet. Until they are, a node listens on its own machine only (`http_address`),
and whoever opens it to a network puts a gate of their own in front.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from node.entrypoints.web.services import services_of


def staff(request: Request) -> str:
    """The account that acts, for commands that name none; raises a problem if nobody may.

    A dependency of every route that is for staff or for programs, so that authentication has
    one place to come to.
    """
    return services_of(request).settings.actor


Staff = Annotated[str, Depends(staff)]
