"""Default settings for Qwen Code. Settings of the user and of the machine override them.

* The CLI has three nested retry loops. These settings keep only the middle loop, which takes a minute or two. The outer
  loop would wait for minutes between requests to a model over its limit, without output.
* No folder is trusted: even the safe mode reads variables and request settings from the worktree. In a folder that is
  not trusted, the CLI asks before everything, in every approval mode.

The version number in the files is above that of every release, because the CLI rewrites files that look older.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
NARROW: Final = HERE / "qwen_defaults.json"
WIDE: Final = HERE / "qwen_wide.json"
"""Used if the user's own arguments lift the confinement."""
TRUSTED: Final = HERE / "qwen_trust.json"

DEFAULTS: Final = "QWEN_CODE_SYSTEM_DEFAULTS_PATH"
SETTINGS: Final = "QWEN_CODE_SYSTEM_SETTINGS_PATH"
TRUST: Final = "QWEN_CODE_TRUSTED_FOLDERS_PATH"


def defaults(*, wide: bool) -> dict[str, str]:
    """Return the variables for these settings; nothing if the machine has defaults of its own."""
    if DEFAULTS in os.environ or (_folder() / "system-defaults.json").exists():
        return {}
    return {DEFAULTS: str(WIDE)} if wide else {DEFAULTS: str(NARROW), TRUST: str(TRUSTED)}


def _folder() -> Path:
    """Return the folder of the machine's settings."""
    if settings := os.environ.get(SETTINGS):
        return Path(settings).parent
    return Path("/Library/Application Support/QwenCode" if sys.platform == "darwin" else "/etc/qwen-code")
