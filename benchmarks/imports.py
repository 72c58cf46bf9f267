"""Measure what every pytest run pays for having the plugin installed. See README.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from scene import median, show

LINE = re.compile(r"import time:\s*(\d+) \|\s*(\d+) \|(\s*)(\S+)")


def main() -> None:
    added = [import_time() for _ in range(15)]
    show("import pytest_gump.plugin, beyond pytest", median(added), "ms", target=10)
    session = [session_time(on=True) - session_time(on=False) for _ in range(7)]
    show("whole session with the plugin, beyond one without (CPU)", median(session), "ms")


def import_time() -> float:
    """Milliseconds that importing the plugin and calling its hooks for options adds, after pytest itself."""
    code = "import pytest, time; b = time.perf_counter(); import pytest_gump.plugin, pytest_gump.options; "
    code += "import pytest_gump.hookspecs; print((time.perf_counter() - b) * 1000)"
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)


def session_time(*, on: bool) -> float:
    """CPU milliseconds of `pytest --version --version`, which loads plugins and adds their options."""
    words = [] if on else ["-p", "no:gump"]
    command = [sys.executable, "-m", "pytest", *words, "--version", "--version"]
    before = os.times()
    subprocess.run(command, check=True, cwd=Path("/"), capture_output=True)
    after = os.times()
    return 1000 * (after.children_user + after.children_system - before.children_user - before.children_system)


if __name__ == "__main__":
    main()
