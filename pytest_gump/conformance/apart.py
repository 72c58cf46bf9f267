"""Runs one attempt in a process that can be killed: `python -m pytest_gump.conformance.apart CLI FOLDER BASE`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess  # runs gump as a user does
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gump.conformance.bench import Bench
from pytest_gump.conformance.subjects import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Sequence


def start(bench: Bench) -> subprocess.Popen[bytes]:
    """Start an attempt on the bench, whose server is running."""
    argv = [sys.executable, "-m", __name__, bench.subject.cli, str(bench.folder), bench.base]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main(arguments: Sequence[str]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts with SIGINT ignored
    cli, folder, base = arguments
    bench = Bench(SUBJECTS[cli], Path(folder))
    bench.base = base
    with contextlib.suppress(KeyboardInterrupt):
        bench.attempt()


if __name__ == "__main__":
    main(sys.argv[1:])
