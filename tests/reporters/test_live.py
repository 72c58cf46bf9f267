"""Without a terminal, a line for each running step at intervals."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.agents.base import ToolCall
from pytest_gump.agents.usage import Total
from pytest_gump.engine.attempt.tools import GateStarted
from pytest_gump.reporters import live
from pytest_gump.text import ASCII, one_line

from tests.kits.parallel import prepare, run
from tests.kits.workflows import ONE

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

OFTEN = "\n\nimport pytest_gump.reporters.live\n\npytest_gump.reporters.live.HEARTBEAT_S = 0.2\n"
"""A conftest with short intervals, since the default is minutes."""

BOTH_AT_ONCE = """
if step == "decompose":
    plan(*({"name": name, "description": name} for name in ("one", "two")))
else:
    usage({"one": 0.25, "two": 0.5}[item])
    meeting = pathlib.Path(sys.argv[0] + ".meeting")
    meeting.mkdir(exist_ok=True)
    (meeting / item).touch()
    while len(list(meeting.iterdir())) < 2:
        time.sleep(0.05)
    time.sleep(2)
"""


def test_every_running_step_has_a_line_of_its_own(project: GumpProject) -> None:
    prepare(project, BOTH_AT_ONCE)
    with (project.path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(OFTEN)
    project.commit()
    lines = run(project, "-n2").outlines
    beats = [line for line in lines if line.startswith("… ")]
    normalized = {re.sub(r"[0-9.]+s$", "TIME", line) for line in beats}
    assert "… 2 running  1/4 steps  run $0.75" in normalized
    assert "… build::impl[one]  script  1 turn  $0.25  TIME" in normalized
    assert "… build::impl[two]  script  1 turn  $0.50  TIME" in normalized
    steps = [line.split()[1] for line in beats if "running" not in line]
    both = {("build::impl[one]", "build::impl[two]"), ("build::impl[two]", "build::impl[one]")}
    assert both & set(pairwise(steps)), "one update shows both steps"
    assert "\r" not in "".join(lines)


@pytest.mark.parametrize("words", [(), ("-n", "1")], ids=["here", "on a worker"])
def test_the_preflight_has_a_line_too(project: GumpProject, words: tuple[str, ...]) -> None:
    seen = project.path.parent / f"{project.path.name}-seen"
    waits = f"test -e {seen} || {{ touch {seen}; sleep 3; }}"
    project.workflow("one", ONE.replace("[compile]", json.dumps([f"bash: {waits}"])))
    project.write({"conftest.py": OFTEN})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.run_apart("one", *words)
    result.assert_outcomes(passed=1)
    beats = [line for line in result.outlines if line.startswith("… ")]
    assert any(re.fullmatch(r"… preflight  gate: bash: test -e \S+\.\.  [0-9.]+s", line) for line in beats)
    assert not [line for line in beats[1:] if "preflight" in line and "impl" in line]


def test_only_displayed_tool_calls_are_converted_to_text(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned: list[str] = []
    written: list[str] = []

    def counting(text: str, *limit: int) -> str:
        cleaned.append(text)
        return one_line(text, *limit)

    monkeypatch.setattr(live, "one_line", counting)
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.0)
    screen: Any = SimpleNamespace(
        reporter=SimpleNamespace(isatty=False), verbosity=0, marks=ASCII, columns=80, write=written.append,
        outside_capture=nullcontext,
    )  # fmt: skip
    run: Any = SimpleNamespace(
        record=SimpleNamespace(total=Total(), max_budget=None), schedule=SimpleNamespace(leaves=list)
    )
    display = live.Live(screen)
    display.preflight_started(1, run, slot="one", label="")
    for number in range(3):
        display.on_event(1, ToolCall("Write", path=f"/slots/one/{number}.py"))
    assert cleaned == []
    display.on_event(1, None)
    display.on_event(1, None)
    assert cleaned == ["Write 2.py"]
    display.on_event(1, ToolCall("Bash", command="make"))
    display.on_event(1, GateStarted("test"))
    display.on_event(1, None)
    assert [("Write 2.py" in line, "gate: test" in line) for line in written] == [(True, False)] * 2 + [(False, True)]
