"""Live line, colours and marks on a real terminal, and their replacements on limited terminals."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest
    from pytest_gump.testing import GumpProject


def run_on_terminal(
    project: GumpProject, *options: str, env: Mapping[str, str] | None = None, then_columns: int = 80
) -> str:
    """Run in a pseudo terminal of 80 columns, and return all text that was written to it.

    When the first live line appears, the width changes to `then_columns`.
    """
    leader, follower = pty.openpty()
    termios.tcsetwinsize(leader, (24, 80))
    quiet = {name: value for name, value in os.environ.items() if "COLOR" not in name and name != "COLUMNS"}
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pytest",
            "--gump-workflow=one",
            f"--gump-replay={project.cassette}",
            *options,
            "spec.md",
        ],
        cwd=project.path,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**quiet, "TERM": "xterm", **(env or {})},
    )
    os.close(follower)
    output = b""
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
        if "… ".encode() in output:
            termios.tcsetwinsize(leader, (24, then_columns))
    os.close(leader)
    process.wait()
    return output.decode("utf-8", "replace")


def shown(line: str) -> str:
    """Return what a terminal shows of a line with carriage returns."""
    cells = ""
    for part in re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line).rstrip("\r").split("\r"):
        cells = part + cells[len(part) :]
    return cells.rstrip()


def test_a_live_line_shows_turns_dollars_and_seconds_and_is_erased(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"}, cost_usd=0.42, turns=2, pauses_s=[0.6] * 6)
    output = run_on_terminal(project, "--gump-replay-delay=1")
    live = [part for part in output.split("\r") if "  impl  " in part]
    assert any("… 1/1  impl  claude-haiku  Write new.py  " in part for part in live)
    assert any("turn" in part for part in live)
    assert any("s" in part for part in live)
    assert all(len(part.rstrip("\n")) < 80 for part in live)
    assert "\x1b[32m" in output
    lines = [shown(line) for line in output.split("\n")]
    header = next(place for place, line in enumerate(lines) if line.startswith("one on spec.md: run "))
    summary = next(place for place, line in enumerate(lines) if line.startswith("run passed "))
    assert [line for line in lines[header : summary - 2] if not line.strip()] == []


def test_the_live_line_follows_the_width_of_the_terminal(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"}, pauses_s=[0.7] * 6)
    output = run_on_terminal(project, "--gump-replay-delay=1", then_columns=30)
    live = [part for part in output.split("\r") if part.startswith("… ") and "impl" in part]
    assert any("claude-haiku" in part for part in live)
    narrow = live[-1]
    assert len(narrow) < 30
    assert "impl" in narrow
    assert "claude-haiku" not in narrow


def test_workers_send_the_activity_of_their_agents(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"}, pauses_s=[0.7] * 6)
    output = run_on_terminal(project, "--gump-replay-delay=1", "-n1")
    assert any("  claude-haiku  Write new.py  " in part for part in output.split("\r"))


def test_no_color_switches_colours_off(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"})
    output = run_on_terminal(project, env={"NO_COLOR": "1"})
    assert "\x1b[3" not in output
    assert "✓ impl" in output


def test_a_dumb_terminal_gets_ascii(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"})
    output = run_on_terminal(project, env={"TERM": "dumb"})
    assert "+ impl" in output
    assert "✓" not in output


def test_a_narrow_terminal_shows_cost_and_time(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    project.answer("impl", writes={"new.py": "x = 1\n"}, cost_usd=0.0042, turns=1)
    lines = project.run("one").outlines
    start = next(place for place, line in enumerate(lines) if line.startswith("✓ impl"))
    assert lines[start].split()[:-1] == ["✓", "impl", "diff", "1", "turn", "$0.0042"]
    assert all(len(line) <= 60 for line in lines[start - 1 :])


def test_no_line_is_wider_than_the_terminal(project: GumpProject) -> None:
    wide = "値" * 60
    project.answer("impl", writes={"new.py": "x = 1\n"}, outcome="agent_error", reason=wide)
    result = project.run("one")
    lines = [line for line in result.outlines if line.startswith(("✗", "    値"))]
    assert len(lines) == 3
    assert all(sum(2 if char == "値" else 1 for char in line) <= 80 for line in lines)
