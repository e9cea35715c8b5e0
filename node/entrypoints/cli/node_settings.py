"""The settings of the node that a command works for: of the environment, or of the local stack."""

from __future__ import annotations

from node.runtime.settings import Settings, load_settings


def settings_for(node: str | None) -> Settings:
    """Return the settings for `--node`: those of the environment if it was not given.

    Raises `Fatal` with one line that names what is wrong or missing.
    """
    if node is None:
        return load_settings()
    # Imported here, so that a node in production loads nothing of the local stack.
    from node.localstack.settings import stack_settings

    return stack_settings(node)
