"""The protections: what holds each, and the tests that fail when it is taken out.

`replaced` stands in `file` exactly once; with `by` in its place, every named test must fail. The
runner is `python -m protections check`, the table docs/protections.md.
"""

from protection import Protection
from protection_list_control import CONTROL
from protection_list_database import DATABASE
from protection_list_events import EVENTS
from protection_list_kafka import KAFKA
from protection_list_own import OWN
from protection_list_pgrules import PGRULES
from protection_list_pgwaits import PGWAITS
from protection_list_proof import PROOF
from protection_list_register import REGISTER
from protection_list_scrub import SCRUB
from protection_list_web import WEB

__all__ = ["PROTECTIONS", "Protection"]

PROTECTIONS = (
    *CONTROL,
    *DATABASE,
    *EVENTS,
    *KAFKA,
    *OWN,
    *PGRULES,
    *PGWAITS,
    *PROOF,
    *REGISTER,
    *SCRUB,
    *WEB,
)
