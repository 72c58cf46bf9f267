"""A run of the real Claude Code and Codex is recorded, and played where neither of them is."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.agents.cassettes.cassette import Cassette
from pytest_gump.conformance.model.script import Answer, Scene, Script
from pytest_gump.conformance.model.server import ModelServer
from pytest_gump.conformance.subjects import KEY, SUBJECTS

from .test_tdd import RIGHT, WRONG, playing, project

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

__all__ = ["project"]


def talking(script: Script) -> Script:
    """The same, with a key in what the model says: that is nothing to keep."""
    return Script(tuple(Scene((*one.answers[:-1], Answer(f"Written with {KEY}.")), one.match) for one in script.scenes))


def run(project: GumpProject, *options: str) -> None:
    names = {
        "claude-opus": SUBJECTS["claude"],
        "claude-haiku": SUBJECTS["claude"],
        "claude-sonnet": SUBJECTS["codex"],
    }
    lines = "\n".join(f"{name} = {subject.agent}" for name, subject in names.items())
    result = project.pytester.runpytest_subprocess(
        "--gump-workflow=tdd", "spec.md", "-o", f"gump_agents={lines}", *options
    )
    result.assert_outcomes(passed=4)


def figures(project: GumpProject) -> list[dict[str, Any]]:
    results = [one.result for one in project.record().attempts if one.result is not None]
    return [
        {
            "attempt": (result.step, result.attempt, result.agent, result.model),
            "outcome": result.outcome,
            "tree": result.tree,
            "usage": result.usage,
            "session": result.session,
            "changed": result.changed,
            "plan": result.plan,
            "gates": [(gate.name, gate.status) for gate in result.gates],
        }
        for result in results
    ]


@pytest.fixture
def tape(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cassette of a run: Claude Code plans, writes tests and twice wrong code; Codex gets it right."""
    tape = project.path.parent / f"{project.path.name}-tape"
    slots = Path(os.environ["XDG_CACHE_HOME"]) / "gump" / "worktrees"
    with ExitStack() as stack, monkeypatch.context() as patch:
        for cli, code in (("claude", WRONG), ("codex", RIGHT)):
            script = talking(playing(code))
            server = stack.enter_context(ModelServer(cli, script, slots, depth=2))
            for name, value in SUBJECTS[cli].install(Path(os.environ["HOME"]), server.url).items():
                patch.setenv(name, value)
        run(project, f"--gump-record={tape}")
    return tape


def test_the_replay_gives_the_identical_trees_and_figures_without_any_cli(
    project: GumpProject, tape: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, head = figures(project), project.record().head
    assert [row["attempt"][2] for row in recorded] == [
        *("claude-opus", "claude-haiku", "claude-haiku", "claude-haiku", "claude-sonnet", None)
    ]
    assert {row["usage"].provenance for row in recorded[:4]} == {"reported"}
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]))
    run(project, f"--gump-replay={tape}")
    assert figures(project) == recorded
    assert project.git("diff", head, project.record().head) == ""


def test_the_takes_are_streams_of_the_clis_without_any_key_or_folder_of_this_machine(tape: Path) -> None:
    takes = Cassette.open(tape).takes
    assert [take.cli for take in takes] == [*["claude"] * 4, "codex"]
    assert [take.resumed for take in takes] == [False, False, True, True, False]
    streams = [(tape / take.folder / "stream.ndjson").read_text(encoding="utf-8") for take in takes]
    assert all('"type":"result"' in stream for stream in streams[:4])
    assert '"type":"turn.completed"' in streams[4]
    texts = {path.relative_to(tape): path.read_bytes() for path in tape.rglob("*") if path.is_file()}
    places = (KEY, os.environ["HOME"], os.environ["XDG_CACHE_HOME"])
    assert [(name, place) for name, text in texts.items() for place in places if place.encode() in text] == []
    assert any(b"Written with ****" in text for text in texts.values())
