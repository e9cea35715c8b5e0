"""What citizens really wrote, beside the project and no part of it.

The project must run without it, so a clone that stands alone skips these tests and says so; the
same paths are held there by registers that the tests make up. Nothing else is ever skipped.
"""

from pathlib import Path

import pytest

REAL_DATA = Path(__file__).parents[3] / "shared" / "data"
MESSAGES_WITH_REPLIES = REAL_DATA / "messages_with_replies.csv"

# This is the only skip of the suite: the messages are not part of the repository, and tests with
# made-up registers cover the same paths.
needs_real_data = pytest.mark.skipif(
    not MESSAGES_WITH_REPLIES.is_file(),
    reason=f"the citizens' messages are no part of the project and not at {REAL_DATA}; "
    "tests over made-up registers run",
)
