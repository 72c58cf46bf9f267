"""The built-in workflows run with a CLI, and their prompts fit the CLI."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from pytest_gump.conformance import CLIS
from pytest_gump.conformance.model.script import Answer, Scene, Script, Write
from pytest_gump.conformance.model.server import ModelServer
from pytest_gump.conformance.subjects import SUBJECTS
from pytest_gump.workflow.find import builtin_folder

from .test_tdd import PLAN, RIGHT, TESTS, check_prompt, project, scene

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

__all__ = ["project"]

SCRIPT: Final = Script(
    (
        scene(".gump/out/plan.json", ".gump/out/plan.json", json.dumps(PLAN)),
        scene(".gump/out/review.json", ".gump/out/review.json", '{"pass": true, "comment": "Right."}'),
        scene(".gump/out/artifact.txt", ".gump/out/artifact.txt", "What I found.\n"),
        scene("Write the tests for this item", "tests/test_double.py", TESTS),
        scene("Write a test that shows this bug", "tests/test_double.py", TESTS),
        Scene(
            (
                Answer("I write both.", (Write("double.py", RIGHT), Write("tests/test_double.py", TESTS))),
                Answer("Written."),
            ),
            match="Implement this item, with its tests",
        ),
        Scene((Answer("All is as described."),), match="Now use it as its users do"),
        Scene((Answer("I write it.", (Write("double.py", RIGHT),)), Answer("Written."))),
    )
)
NAMES: Final = ("claude-opus", "claude-haiku", "claude-sonnet")
WORKFLOWS: Final = sorted(path.stem for path in builtin_folder().glob("*.yaml") if path.stem != "arch-review")
"""The built-in workflows. `implement-spec` runs the validator `arch-review`."""
MOST_MODES: Final = ("adversarial-review", "implement-spec", "parallel-tasks")
"""Workflows that together have each mode, a validator and a parallel group."""
SLOW: Final = "GUMP_AGENTS_SLOW" in os.environ
TESTED: Final = [*itertools.product(CLIS if SLOW else ["claude"], WORKFLOWS if SLOW else MOST_MODES)]
"""All pairs take ten minutes. The scenario `read-only` and the workflow `tdd` show each CLI in each mode."""


@pytest.mark.parametrize(("cli", "workflow"), TESTED)
def test_a_workflow_passes_and_its_prompts_say_what_may_run(
    cli: str, workflow: str, project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = SUBJECTS[cli]
    slots = Path(os.environ["XDG_CACHE_HOME"]) / "gump" / "worktrees"
    with ModelServer(cli, SCRIPT, slots, depth=2) as server:
        for name, value in subject.install(Path(os.environ["HOME"]), server.url).items():
            monkeypatch.setenv(name, value)
        agents = "\n".join(f"{name} = {subject.agent}" for name in NAMES)
        options = ("-o", f"gump_agents={agents}", "-o", "gump_unknown_cost=allow", "-p", "no:xdist")
        result = project.pytester.runpytest_subprocess(f"--gump-workflow={workflow}", "spec.md", *options)
    assert result.ret == 0, result.stdout.str()
    for made in project.record().attempts:
        if made.agent is not None:
            check_prompt(project.prompt(made.step, made.attempt), cli, made.mode)
