"""Usage limits of an agent: the run waits, another agent takes over, or the run stops and can be resumed."""

from __future__ import annotations

import json
import signal
import textwrap
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import pytest

from tests.kits.commands import gump
from tests.kits.parallel import PRELUDE
from tests.kits.processes import background, living, wait_until
from tests.kits.script_agent import CONFTEST
from tests.kits.workflows import ONE
from tests.reporters.test_live import OFTEN

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from pytest_gump.testing import GumpProject

STEP: Final = """\
name: step
steps:
  - {name: impl, agent: script, prompt: Do it., gate: [compile]}
"""

SIDE: Final = """\
name: side
steps:
  - name: both
    parallel: true
    steps:
      - {name: left, agent: script, prompt: Do the left., gate: [compile]}
      - name: right
        steps:
          - {name: one, agent: other, prompt: Do one., gate: [compile]}
          - {name: two, agent: other, prompt: Do two., gate: [compile]}
"""

LIMITED: Final = """\
mark = pathlib.Path({place!r}, f"{{step}}.limited".replace("::", "."))
if {condition} and not mark.exists():
    mark.touch()
    usage(0.25)
    say("result", outcome="quota", reason="limit reached", message="", resets_at=time.time() + {seconds})
    sys.exit(1)
usage(0.5)
write(f"{{step.rpartition('::')[2]}}.py", "x = 1\\n")
"""


def prepare(
    project: GumpProject, workflow: str, *, seconds: float, condition: str = "True", ini: str = "margin = 0.1s"
) -> None:
    """Add an agent that reaches a limit in the first attempt of each step that matches the condition."""
    script = project.path.parent / f"{project.path.name}-agent.py"
    place = project.path.parent / f"{project.path.name}-marks"
    place.mkdir()
    text = LIMITED.format(place=str(place), condition=condition, seconds=seconds)
    script.write_text(PRELUDE + text + 'say("result", outcome="ok", message="Done.")\n')
    two = """\


    class Other(Script):
        name = cli = "other"


    def pytest_gump_agents():
        return {"script": Script(), "other": Other()}
    """
    project.write({"conftest.py": CONFTEST.format(script=str(script)) + textwrap.dedent(two)})
    project.write({"pytest.ini": f"[pytest]\ngump_quota_{ini}\n"})
    project.workflow(workflow.split()[1], workflow)


def run(project: GumpProject, workflow: str, *options: str) -> Any:
    return project.pytester.runpytest_inprocess(f"--gump-workflow={workflow}", *options, "spec.md")


# -- wait ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["-n1"]])
def test_the_run_waits_for_a_limit_and_repeats_the_attempt(project: GumpProject, options: list[str]) -> None:
    prepare(project, STEP, seconds=3)
    result = run(project, "step", "--gump-on-quota=wait", "--junitxml=run.xml", *options)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*impl*script*limit reached*", "*waits for the limit of script until *(in *"])
    result.stdout.fnmatch_lines(["*1 step, 1 wait for a limit, $0.75*"])
    result.stdout.fnmatch_lines(["*1 passed, 1 waited in *"])
    record = project.record()
    first, second = record.attempts
    assert (first.verdict, second.verdict) == ("waited", "passed")
    assert (first.attempt, second.attempt) == (1, 1), "the repeated attempt keeps its number"
    assert (record.retries, record.escalations, record.waits) == (0, 0, 1)
    assert first.until is not None
    assert second.started >= first.until
    assert record.idle_s > 1, "waiting is idle time"
    assert project.tree(record.head)["impl.py"] == "x = 1"
    case = ET.parse(project.path / "run.xml").getroot().find(".//testcase")
    assert case is not None
    assert "attempt 1: script: quota, " in str(case.findtext("system-out"))
    assert case.find("failure") is None


def test_lines_show_the_remaining_waiting_time(project: GumpProject) -> None:
    prepare(project, STEP, seconds=2)
    with (project.path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(OFTEN)
    project.commit("often")
    result = run(project, "step", "--gump-on-quota=wait")
    beats = {line for line in result.outlines if line.startswith("… script waits")}
    assert "… script waits for its usage limit, 0:01 left" in beats


def test_the_conversation_of_discarded_work_is_not_resumed(project: GumpProject) -> None:
    second = "  - {name: more, agent: script, session: reuse, prompt: Do more., gate: [compile]}\n"
    prepare(project, STEP + second, seconds=0.1, condition="step == 'more'")
    assert run(project, "step", "--gump-on-quota=wait").ret == pytest.ExitCode.OK
    limited, again = project.record().steps["more"].attempts
    assert (limited.verdict, limited.session_resumed) == ("waited", True)
    assert (again.verdict, again.session_resumed) == ("passed", False)


def test_the_report_does_not_count_a_wait_as_a_retry(project: GumpProject) -> None:
    prepare(project, STEP, seconds=0.1)
    run(project, "step", "--gump-on-quota=wait")
    data = json.loads(gump("report", "--json").stdout)
    assert (data["totals"]["retries"], data["totals"]["waits"], data["totals"]["failovers"]) == (0, 1, 0)
    step = data["steps"][0]
    assert (step["outcome"], step["retries"], step["totals"]["cost"]["usd"]) == ("passed", 0, 0.75)
    assert [one["verdict"] for one in step["attempts"]] == ["waited", "passed"]
    assert step["attempts"][0]["outcome"] == "quota"
    assert step["attempts"][0]["resets_at"] is not None
    lines = pytest.LineMatcher(gump("report").stdout.splitlines())
    lines.fnmatch_lines(["*1 wait for a limit*", "*impl attempt 1*then: waits for the limit of script until*"])


def test_a_wait_longer_than_the_maximum_fails_the_run(project: GumpProject) -> None:
    prepare(project, STEP, seconds=7200, ini="wait = 1h")
    result = run(project, "step", "--gump-on-quota=wait")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*impl*limit reached*",
            "*the limit lasts until ??:??*(in 2h00m)*",
            "*gump_quota_wait allows 1h00m of waiting in total*",
            "*pytest --gump-resume continues the run*",
        ]
    )
    assert project.record().steps["impl"].outcome == "quota"


def test_agents_of_other_clis_continue_during_a_wait(project: GumpProject) -> None:
    prepare(project, SIDE, seconds=9, condition="step == 'both::left'")
    result = run(project, "side", "--gump-on-quota=wait", "-n2")
    assert result.ret == pytest.ExitCode.OK
    record = project.record()
    limited, again = record.steps["both::left"].attempts
    assert (limited.verdict, again.verdict) == ("waited", "passed")
    for name in ("one", "two"):
        (other,) = record.steps[f"both::right::{name}"].attempts
        assert other.started < again.started, "another CLI does not wait"
    assert {"left.py", "one.py", "two.py"} <= {*project.tree(record.head)}


def test_attempts_of_the_same_cli_wait_until_the_limit_ends(project: GumpProject) -> None:
    everything = SIDE.replace("other", "script")
    prepare(project, everything, seconds=4, condition="step == 'both::left'")
    result = run(project, "side", "--gump-on-quota=wait", "-n2")
    assert result.ret == pytest.ExitCode.OK
    record = project.record()
    limited, _ = record.steps["both::left"].attempts
    assert limited.until is not None
    (two,) = record.steps["both::right::two"].attempts
    assert two.started >= limited.until


@contextmanager
def waiting(project: GumpProject, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Start a session that waits for an hour."""
    prepare(project, STEP, seconds=3600)
    with session(project, "decided", "--gump-workflow=step", "--gump-on-quota=wait", *options, "spec.md") as process:
        yield process


@contextmanager
def session(project: GumpProject, event: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start a session in the background and wait for the event in its ledger."""
    with background(project, *words) as process:
        wait_until(lambda: project.folders() and any(one["event"] == event for one in project.ledger()))
        yield process


@pytest.mark.parametrize(("options", "number"), [([], signal.SIGINT), ([], signal.SIGTERM), (["-n1"], signal.SIGINT)])
def test_a_wait_can_be_interrupted(project: GumpProject, options: list[str], number: signal.Signals) -> None:
    with waiting(project, *options) as process:
        began = time.monotonic()
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == pytest.ExitCode.INTERRUPTED, output
        assert time.monotonic() - began < 15
    wait_until(lambda: not living(project), 5)
    record = project.record()
    assert (record.status, record.reason) == ("cancelled", "interrupted")
    assert [one.verdict for one in record.attempts] == ["waited"]
    assert record.total.cost_usd == 0.25
    assert "Traceback" not in output


def test_status_shows_a_waiting_run_which_has_no_running_agent(project: GumpProject) -> None:
    with waiting(project):
        assert not [one for one in living(project) if any("agent.py" in word for word in one.info["cmdline"])]
        status = pytest.LineMatcher(gump("status").stdout.splitlines())
        status.fnmatch_lines(["*running*impl (waits for a limit until ??:?? (in *"])
        data = json.loads(gump("status", "--json").stdout)
        (waiting_run,) = data["runs"]
        assert waiting_run["running"] == []
        assert [(one["step"], one["agent"]) for one in waiting_run["waiting"]] == [("impl", "script")]


def test_a_recording_contains_the_attempt_after_the_wait(project: GumpProject) -> None:
    prepare(project, STEP, seconds=0.1)
    cassette = project.path.parent / f"{project.path.name}-recorded"
    assert run(project, "step", "--gump-on-quota=wait", f"--gump-record={cassette}").ret == pytest.ExitCode.OK
    assert "not recorded" not in str(project.record().attempts[1].result)
    assert run(project, "step", f"--gump-replay={cassette}").ret == pytest.ExitCode.OK
    assert [one.verdict for one in project.record().attempts] == ["passed"]


def test_a_run_interrupted_in_a_wait_resumes_with_the_same_attempt(project: GumpProject) -> None:
    with waiting(project) as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    with session(project, "limit_recalled", "--gump-resume") as process:
        status = pytest.LineMatcher(gump("status").stdout.splitlines())
        status.fnmatch_lines(["*running*impl (waits for a limit until ??:?? (in *"])
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
        assert "waits for the limit of script until" in output
    assert len(project.record().attempts) == 1, "the resumed session waits for the rest of the limit"
    result = project.pytester.runpytest_inprocess("--gump-resume", "--gump-on-quota=stop")
    result.stdout.fnmatch_lines(["script reported that its limit lasts until ??:?? (in *"])
    assert result.ret == pytest.ExitCode.OK
    record = project.record()
    assert [(one.attempt, one.verdict) for one in record.attempts] == [(1, "waited"), (1, "passed")]
    assert (record.status, record.total.cost_usd) == ("passed", 0.75)


# -- stop ----------------------------------------------------------------------------------------------------------


def limit(project: GumpProject, *, agent: str = "", reason: str = "limit reached, try again in 2h") -> None:
    project.answer("impl", agent=agent, exit_code=1, outcome="quota", reason=reason)


def test_without_the_option_the_run_stops_with_a_hint_to_resume_it(project: GumpProject) -> None:
    limit(project)
    result = project.run("one")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*the limit lasts until ??:??*(in 2h00m)", "*pytest --gump-resume continues the run"])
    record = project.record()
    assert (record.status, record.steps["impl"].outcome) == ("failed", "quota")
    assert record.attempts[0].verdict == "failed"


def test_a_run_with_a_spent_budget_does_not_wait(project: GumpProject) -> None:
    project.workflow("one", ONE.replace("steps:", "max_budget: 0.005\nsteps:"))
    limit(project)
    assert project.run("one", "--gump-on-quota=wait").ret == pytest.ExitCode.TESTS_FAILED
    assert project.record().attempts[0].verdict == "failed"


# -- another agent -------------------------------------------------------------------------------------------------


def test_another_agent_takes_over(project: GumpProject) -> None:
    limit(project, agent="claude-haiku")
    project.answer("impl", agent="codex", writes={"new.py": "x = 1\n"}, cost_usd=0.5)
    result = project.run("one", "--gump-on-quota=codex", "--junitxml=run.xml")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*impl*claude-haiku*", "*limit reached*", "*failover to codex", "*impl*codex*"])
    result.stdout.fnmatch_lines(["*1 failover, $0.51*", "*1 passed, 1 failover in *"])
    record = project.record()
    assert [(one.agent, one.attempt, one.verdict) for one in record.attempts] == [
        ("claude-haiku", 1, "failover"),
        ("codex", 1, "passed"),
    ]
    assert (record.retries, record.escalations, record.failovers) == (0, 0, 1)
    text = ET.parse(project.path / "run.xml").getroot().findtext(".//testcase/system-out")
    assert "then: failover to codex" in str(text)


def test_the_run_stops_if_the_other_agent_reaches_a_limit_too(project: GumpProject) -> None:
    limit(project, agent="claude-haiku")
    limit(project, agent="codex")
    result = project.run("one", "--gump-on-quota=codex")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*codex has no quota left either", "*pytest --gump-resume continues the run"])
    record = project.record()
    assert [one.verdict for one in record.attempts] == ["failover", "failed"]
    assert record.steps["impl"].outcome == "quota"


def test_the_ini_setting_applies_without_the_option(project: GumpProject) -> None:
    project.write({"pytest.ini": "[pytest]\ngump_on_quota = codex\n"})
    project.commit("settings")
    limit(project, agent="claude-haiku")
    project.answer("impl", agent="codex", writes={"new.py": "x = 1\n"})
    assert project.run("one").ret == pytest.ExitCode.OK
    assert project.run("one", "--gump-on-quota=stop").ret == pytest.ExitCode.TESTS_FAILED


def test_the_other_agent_keeps_the_step_for_its_retries(project: GumpProject) -> None:
    project.workflow("one", ONE + "    on_failure: {retry: 2}\n")
    limit(project, agent="claude-haiku")
    project.answer("impl", agent="codex", writes={"new.py": "def broken(:\n"})
    project.answer("impl", agent="codex", attempt=2, writes={"new.py": "x = 1\n"})
    assert project.run("one", "--gump-on-quota=codex").ret == pytest.ExitCode.OK
    record = project.record()
    assert [(one.agent, one.attempt, one.verdict) for one in record.attempts] == [
        ("claude-haiku", 1, "failover"),
        ("codex", 1, "retried"),
        ("codex", 2, "passed"),
    ]
    assert "limit reached" not in project.prompt("impl", 2), "a limit is not a failure of the step"


def test_results_of_the_other_agent_are_reused_on_resume(project: GumpProject) -> None:
    two = ONE + "  - {name: more, agent: claude-haiku, prompt: Do more., gate: [compile]}\n"
    project.workflow("one", two)
    limit(project, agent="claude-haiku")
    project.answer("impl", agent="codex", writes={"new.py": "x = 1\n"})
    project.answer("more", writes={"more.py": "def broken(:\n"})
    assert project.run("one", "--gump-on-quota=codex").ret == pytest.ExitCode.TESTS_FAILED
    project.answer("more", attempt=2, writes={"more.py": "x = 1\n"})
    result = project.pytester.runpytest_inprocess("--gump-resume")
    result.stdout.fnmatch_lines(["* impl * reused", "* more * re-run: it failed: gate_failed"])
    assert result.ret == pytest.ExitCode.OK
    assert [one.step for one in project.record().attempts] == ["impl", "impl", "more", "more"]


def test_a_resumed_run_keeps_the_option(project: GumpProject) -> None:
    limit(project, agent="claude-haiku")
    limit(project, agent="codex")
    assert project.run("one", "--gump-on-quota=codex").ret == pytest.ExitCode.TESTS_FAILED
    project.answer("impl", agent="codex", writes={"new.py": "x = 1\n"})
    assert project.pytester.runpytest_inprocess("--gump-resume").ret == pytest.ExitCode.OK
    assert project.record().attempts[-1].agent == "codex"


@pytest.mark.parametrize(
    ("word", "message"),
    [("nobody", "--gump-on-quota: unknown agent 'nobody'"), ("", "--gump-on-quota: unknown agent ''")],
)
def test_an_unknown_agent_is_refused_before_the_run_starts(project: GumpProject, word: str, message: str) -> None:
    result = project.run("one", f"--gump-on-quota={word}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()
    assert project.folders() == []


def test_an_agent_that_is_missing_or_has_unknown_cost_is_refused(project: GumpProject) -> None:
    agents = """\
        class Odd:
            def __init__(self, name, why, cost):
                self.name = self.cli = name
                self.why, self.cost = why, cost

            def missing(self):
                return self.why

            def command(self, task):
                raise NotImplementedError

            def reader(self, task):
                raise NotImplementedError

        def pytest_gump_agents():
            good = Odd("good", None, "reported")
            return {"good": good, "gone": Odd("gone", "gone is not on PATH", "reported"), "dear": Odd("dear", None, "unknown")}
    """
    project.write({"conftest.py": textwrap.dedent(agents)})
    project.workflow("own", "name: own\nmax_budget: 1\nsteps:\n  - {name: impl, agent: good, prompt: Do it.}\n")
    for name, message in (("gone", "--gump-on-quota: gone is not on PATH"), ("dear", "the cost of dear is unknown")):
        result = run(project, "own", f"--gump-on-quota={name}")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert message in result.stderr.str()
