"""Run commands of `gump` in this process, with the project as working directory."""

from __future__ import annotations

import contextlib
import io
import subprocess

from pytest_gump.cli.program import main


def gump(*words: str) -> subprocess.CompletedProcess[str]:
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = main(words)
    return subprocess.CompletedProcess(words, code, out.getvalue(), errors.getvalue())
