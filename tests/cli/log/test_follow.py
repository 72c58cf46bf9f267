"""`gump log` of a running attempt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pytest_gump.cli.log.stream import follow_stream, read_stream
from pytest_gump.engine.record.records import AttemptRecord

from tests.kits.processes import replayed, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Gump

SECRET = "sk-0123456789abcdef"


@pytest.fixture
def running(gump: Gump) -> Iterator[Gump]:
    """Start a run whose agent has called a tool and works for a few more seconds."""
    project = gump.project
    project.answer("first", writes={"first.py": "x = 1\n"}, says=f"My key is {SECRET}.", pauses_s=[0, 0, 0, 0, 4, 0])
    project.answer("second", writes={"second.py": "y = 1\n"})
    with replayed(project, "--gump-workflow=pair", "--gump-replay-delay=1", "spec.md") as process:
        wait_until(lambda: "Write first.py" in gump("log", "first")[1])
        yield gump
        process.terminate()


def test_a_running_attempt_is_shown_and_can_be_followed_to_its_end(
    running: Gump, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", SECRET)
    shown = running.good("log", "first")
    assert shown.startswith("first attempt 1, claude-haiku, diff: not ended\n")
    assert "Do the first half" in shown
    assert "Write first.py" in shown
    assert SECRET not in shown
    followed = running.good("log", "-f", "--no-prompt")
    assert followed.startswith("first attempt 1, claude-haiku, diff: running\n")
    assert "Write first.py" in followed
    assert SECRET not in followed
    assert "touched: *.py passed" in followed
    assert followed.endswith("\nfirst attempt 1, claude-haiku, diff: passed\n")


def test_follow_without_a_running_attempt(passed: Gump) -> None:
    assert "no attempt of run " in passed.bad("log", "--follow")
    assert passed.good("log", "--follow", "second").startswith("second attempt 1, claude-haiku, diff: passed\n")
    assert "cannot be combined with --all" in passed.bad("log", "--follow", "second", "--all", code=2)


def test_paths_are_shown_relative_to_the_worktree(tmp_path: Path) -> None:
    attempt = AttemptRecord(1, "impl", 1, "diff", "claude-haiku", "first", 0.0, slot="w1")
    call = {"type": "tool_call", "tool": "Write", "path": "/home/me/.cache/gump/worktrees/app-0a1b2c3d/w1/src/a.py"}
    (tmp_path / "stream.ndjson").write_text(json.dumps(call) + "\n", encoding="utf-8")
    assert next(follow_stream(attempt, tmp_path, arrow="->")) == "-> Write src/a.py"
    read = read_stream(attempt, tmp_path, arrow="->")
    assert read is not None
    assert next(read) == "-> Write src/a.py"


def test_lines_are_shown_when_they_are_complete(tmp_path: Path) -> None:
    attempt = AttemptRecord(1, "impl", 1, "diff", "claude-haiku", "first", 0.0)
    lines = follow_stream(attempt, tmp_path, arrow="->")
    assert next(lines) is None
    with (tmp_path / "stream.ndjson").open("w", encoding="utf-8") as stream:
        stream.write('{"type": "text", "te')
        stream.flush()
        assert next(lines) is None
        stream.write('xt": "hello"}\n{"type": "text", "text": "again"}\n')
        stream.flush()
        assert [next(lines), next(lines), next(lines)] == ["hello", "again", None]
