"""A run of the real Claude Code and Codex is recorded, and replayed without them."""

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


def with_key(script: Script) -> Script:
    """Return the script with a key in the text of the model. The recording must not contain it."""
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
def cassette(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Record a run: Claude Code plans, writes tests and twice wrong code. Codex then writes correct code."""
    cassette = project.path.parent / f"{project.path.name}-tape"
    slots = Path(os.environ["XDG_CACHE_HOME"]) / "gump" / "worktrees"
    with ExitStack() as stack, monkeypatch.context() as patch:
        for cli, code in (("claude", WRONG), ("codex", RIGHT)):
            script = with_key(playing(code))
            server = stack.enter_context(ModelServer(cli, script, slots, depth=2))
            for name, value in SUBJECTS[cli].install(Path(os.environ["HOME"]), server.url).items():
                patch.setenv(name, value)
        run(project, f"--gump-record={cassette}")
    return cassette


def test_a_recording_contains_no_keys_and_replays_without_the_clis_to_the_same_trees_and_figures(
    project: GumpProject, cassette: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_streams(cassette)
    check_secrets(cassette)
    recorded, head = figures(project), project.record().head
    assert [row["attempt"][2] for row in recorded] == [
        *("claude-opus", "claude-haiku", "claude-haiku", "claude-haiku", "claude-sonnet", None)
    ]
    assert {row["usage"].provenance for row in recorded[:4]} == {"reported"}
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]))
    run(project, f"--gump-replay={cassette}")
    assert figures(project) == recorded
    assert project.git("diff", head, project.record().head) == ""


def check_streams(cassette: Path) -> None:
    takes = Cassette.open(cassette).takes
    assert [take.cli for take in takes] == [*["claude"] * 4, "codex"]
    assert [take.resumed for take in takes] == [False, False, True, True, False]
    streams = [(cassette / take.folder / "stream.ndjson").read_text(encoding="utf-8") for take in takes]
    assert all('"type":"result"' in stream for stream in streams[:4])
    assert '"type":"turn.completed"' in streams[4]


def check_secrets(cassette: Path) -> None:
    texts = {path.relative_to(cassette): path.read_bytes() for path in cassette.rglob("*") if path.is_file()}
    places = (KEY, os.environ["HOME"], os.environ["XDG_CACHE_HOME"])
    assert [(name, place) for name, text in texts.items() for place in places if place.encode() in text] == []
    assert any(b"Written with ****" in text for text in texts.values())
