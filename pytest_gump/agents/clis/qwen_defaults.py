"""Settings that Qwen Code reads before all others: those of the user, and of the machine, win over them.

* Of its three loops of retries around each other, ours leave the middle one, of a minute or two. The outer one would
  wait for minutes between attempts at what is over its limit, and say nothing.
* Nobody's folder is trusted: even its safe mode takes variables, and how the model is asked, from settings that lie in
  the worktree. In such a folder it asks before everything, whatever mode is asked for.

The files have a version that no CLI has yet: it rewrites what it takes for older than itself.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
NARROW: Final = HERE / "qwen_defaults.json"
WIDE: Final = HERE / "qwen_wide.json"
"""Where the user's own words lift the confinement."""
TRUSTED: Final = HERE / "qwen_trust.json"

DEFAULTS: Final = "QWEN_CODE_SYSTEM_DEFAULTS_PATH"
SETTINGS: Final = "QWEN_CODE_SYSTEM_SETTINGS_PATH"
TRUST: Final = "QWEN_CODE_TRUSTED_FOLDERS_PATH"


def defaults(*, wide: bool) -> dict[str, str]:
    """What points the CLI at ours; nothing where the machine has defaults of its own."""
    if DEFAULTS in os.environ or (_folder() / "system-defaults.json").exists():
        return {}
    return {DEFAULTS: str(WIDE)} if wide else {DEFAULTS: str(NARROW), TRUST: str(TRUSTED)}


def _folder() -> Path:
    """Where the settings of the machine lie."""
    if settings := os.environ.get(SETTINGS):
        return Path(settings).parent
    return Path("/Library/Application Support/QwenCode" if sys.platform == "darwin" else "/etc/qwen-code")
