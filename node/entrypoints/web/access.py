"""Access control 访问控制 of the web service: the one place where staff will be authenticated.

Nobody is authenticated yet. Until then a node listens on its own machine only (`http_address`), and
an operator who opens it to a network must put a gate in front.
"""

from typing import Annotated

from fastapi import Depends, Request

from node.entrypoints.web.services import services_of


def staff(request: Request) -> str:
    """Return the account that acts, for commands that name none.

    Every route for staff or programs depends on it, so that authentication is added here alone.
    """
    return services_of(request).settings.actor


Staff = Annotated[str, Depends(staff)]
