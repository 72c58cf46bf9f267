"""The interpreters that the package supports. uv finds them on PATH, in pyenv and among those that it manages."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
UV: Final = os.environ["GUMP_UV"]


def find(version: str) -> str:
    """Return the path of an interpreter, or an empty string if this machine has none of that version."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [str(path) for path in sorted(pyenv.glob(f"versions/{version}.*/bin"))]
    done = subprocess.run(
        [UV, "python", "find", "--no-project", "--no-python-downloads", version],
        env=os.environ | {"PATH": os.pathsep.join([*folders, os.environ["PATH"]])},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


SUPPORTED: Final = re.findall(r":: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
INTERPRETERS: Final = {version: find(version) for version in SUPPORTED}
