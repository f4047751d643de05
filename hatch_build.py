"""Build hook: a wheel carries the workspace folders under ``agentopt/_workspace/``; an editable install does not.

Without it the folders would either be missing from the wheel or land in site-packages under their own, far too
generic names. An editable install reads them from the checkout, so copies would only go stale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("graphs", "tasks", "prompts", "evals")


class WorkspaceHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the four folders to every wheel that is not editable."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before a build; ``version`` is ``standard`` or ``editable``."""
        if version != "editable":
            here = Path(__file__).resolve().parent
            for folder in filter(lambda name: (here / name).is_dir(), FOLDERS):
                build_data["force_include"][folder] = f"agentopt/_workspace/{folder}"
