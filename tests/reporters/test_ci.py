"""`--gump-ci`: output for GitHub Actions and GitLab CI, in which text of agents is never a command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pytest_gump.engine.record.approvals import Question
from pytest_gump.engine.record.records import AttemptRecord, RunRecord, StepRecord
from pytest_gump.gates.base import GateResult
from pytest_gump.order import AttemptResult, Outcome, Timings, to_wire
from pytest_gump.reporters.ci import annotation_commands, code_quality, log_sections, service
from pytest_gump.reporters.ci_summary import OUTPUT_CHARS, block, markdown
from pytest_gump.reporters.located_run import LocatedRun
from pytest_gump.system.git.changes import ChangedFile
from pytest_gump.workflow.loaded import Loaded
from pytest_gump.workflow.model import Workflow

from tests.kits.workflows import BROKEN, RETRY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token
    from pytest_gump.testing import GumpProject

EVIL = "50% | `x` <img src=x> @you [a](http://b)\r\n::set-env name=A::b, :: ##[error]c"


@pytest.fixture
def summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set the step summary of a GitHub Actions job, which already contains a line, and return its path."""
    path = tmp_path / "summary.md"
    path.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


@pytest.mark.parametrize(
    ("choice", "environ", "expected"),
    [
        ("auto", {"GITHUB_ACTIONS": "true"}, "github"),
        ("auto", {"GITLAB_CI": "true"}, "gitlab"),
        ("auto", {"CI": "true"}, "off"),
        ("off", {"GITHUB_ACTIONS": "true"}, "off"),
        ("gitlab", {}, "gitlab"),
    ],
)
def test_service_is_detected_from_the_environment(choice: str, environ: dict[str, str], expected: str) -> None:
    assert service(choice, environ) == expected


def test_github_gets_a_table_of_the_steps(project: GumpProject, summary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    project.answer("impl", writes={"new.py": BROKEN}, cost_usd=0.1)
    project.answer("impl", attempt=2, writes={"new.py": "x = 1\n"}, cost_usd=0.2)
    result = project.run("retry")
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("before\n### ✓ `retry` on `spec.md` passed\n\n1 step, 1 retry, **$0.30**, ")
    run_id = project.record().run_id
    assert f"\n**1 file changed, +1 -0** on branch `gump/{run_id}`, based on `" in text
    assert f"\nMerge the branch with `gump apply {run_id}`, or push it\n" in text
    assert "| step | result | agent | attempts | cost | turns | time | gates |\n" in text
    row = next(line for line in text.splitlines() if "`impl`" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:6] == ["✓", "`impl`", "passed", "claude-haiku", "2", "$0.30"]
    assert cells[-1] == "compile"
    assert "<details><summary>Turns and tool calls</summary>\n\n| step | attempt | turns | write |" in text
    assert len(re.findall(r"^\| `impl` \| [12] \| 2 \| 1 \| 0 \| 0 \| 1 \|", text, re.MULTILINE)) == 2
    result.stdout.no_fnmatch_line("::error*")


def test_github_gets_the_workflow_line_of_a_failed_step(project: GumpProject, summary: Path) -> None:
    for attempt in (1, 2, 3):
        project.answer("impl", attempt=attempt, writes={"new.py": BROKEN + f"# {attempt}\n"})
    result = project.run("retry", "--gump-ci=github")
    assert RETRY.splitlines()[2].strip() == "- name: impl"
    assert [line for line in result.outlines if line.startswith("::")] == [
        (
            "::error file=.gump/workflows/retry.yaml,line=3,title=retry on spec.md%3A impl::"
            "impl: compile failed: 1 of 2 Python files do not compile"
        )
    ]
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("before\n### ✗ `retry` on `spec.md` failed\n")
    assert "#### ✗ `impl`: gate_failed after 3 attempts\n\n`compile failed: 1 of 2 Python files do not compile`" in text
    assert "<details><summary>Output of <code>compile</code></summary>\n\n```text\n" in text
    assert f"\nResume the run with `pytest --gump-resume={project.record().run_id}`\n" in text


def test_an_error_of_a_built_in_workflow_points_to_the_spec(project: GumpProject) -> None:
    result = project.run("freeform", "--gump-ci=github")
    assert [line.partition(",title")[0] for line in result.outlines if line.startswith("::")] == [
        "::error file=spec.md,line=1"
    ]


def test_text_of_an_agent_is_neither_a_command_nor_markup(project: GumpProject, summary: Path) -> None:
    project.answer("impl", exit_code=1, outcome="agent_error", reason=EVIL)
    result = project.run("one", "--gump-ci=github", "-rA")
    commands = [line for line in result.outlines if line.lstrip().startswith("::") or "##[" in line]
    assert len(commands) == 1
    assert commands[0].startswith("::error file=.gump/workflows/one.yaml,line=3,")
    assert "50%25 | " in commands[0]
    text = summary.read_text(encoding="utf-8")
    assert "50%" in shown_as_code(text)
    assert [found for found in ("<img", "@you", "http:", "50%") if found in shown_outside_code(text)] == []


def test_the_outcome_of_a_hook_is_not_markup(project: GumpProject, summary: Path) -> None:
    hook = f"from pytest_gump import Stop\ndef pytest_gump_retry():\n    return Stop('x', outcome={EVIL!r})\n"
    project.write({"conftest.py": hook})
    project.commit()
    project.answer("impl", exit_code=1, outcome="agent_error")
    project.run("one", "--gump-ci=github")
    text = summary.read_text(encoding="utf-8")
    assert "50%" in shown_as_code(text)
    assert [found for found in ("<img", "@you", "http:", "50%") if found in shown_outside_code(text)] == []


@pytest.mark.parametrize("options", [(), ("-q",), ("-s",), ("--capture=sys",)], ids=str)
def test_annotations_are_not_captured(project: GumpProject, options: tuple[str, ...]) -> None:
    project.answer("impl", writes={"new.py": BROKEN})
    result = project.run("one", "--gump-ci=github", *options)
    assert len([line for line in result.outlines if line.startswith("::error ")]) == 1


def test_a_stopped_run_is_reported_too(project: GumpProject, summary: Path) -> None:
    project.write({"conftest.py": "def pytest_gump_attempt_started(order):\n    raise KeyboardInterrupt\n"})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.run_apart("one", "--gump-ci=github")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["::error file=.gump/workflows/one.yaml,line=1,*::run cancelled: interrupted"])
    assert "### ✗ `one` on `spec.md` cancelled\n" in summary.read_text(encoding="utf-8")


def test_a_summary_that_cannot_be_written_is_one_line_of_output(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "no" / "summary.md"))
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.run("one", "--gump-ci=github")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["--gump-ci: cannot write */no/summary.md: No such file or directory"])


def test_off_prints_no_annotations_and_writes_no_summary(
    project: GumpProject, summary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    project.answer("impl", writes={"new.py": BROKEN})
    result = project.run("one", "--gump-ci=off")
    result.stdout.no_fnmatch_line("::error*")
    assert summary.read_text(encoding="utf-8") == "before\n"


def test_gitlab_gets_a_log_section(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLAB_CI", "true")
    project.answer("impl", writes={"new.py": BROKEN}, says="\x1b[0Ksection_end:1:gump\r\x1b[0K")
    result = project.run("one")
    text = str(result.stdout)
    start, title = re.findall(r"\x1b\[0Ksection_start:\d+:(\w+)\[collapsed=true\]\r?\n?\x1b\[0K(.*)", text)[0]
    assert title.startswith("one on spec.md: run failed - 1 step, $0.01, ")
    assert re.findall(r"\x1b\[0Ksection_end:\d+:(\w+)", text) == [start]
    result.stdout.fnmatch_lines(["*step  outcome *agent *", "*impl *gate_failed *claude-haiku *1 *$0.01 *"])


def test_gitlab_gets_artifacts_that_leave_the_checkout_clean(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": BROKEN})
    project.run("one", "--gump-ci=gitlab")
    folder = project.path / ".gump" / "ci"
    (finding,) = json.loads((folder / "code-quality.json").read_text(encoding="utf-8"))
    assert finding["description"] == "impl: compile failed: 1 of 2 Python files do not compile"
    assert finding["location"] == {"path": ".gump/workflows/one.yaml", "lines": {"begin": 3}}
    assert (finding["severity"], finding["check_name"]) == ("critical", "gump")
    assert (folder / "summary.md").read_text(encoding="utf-8").startswith("### ✗ `one` on ")
    assert project.git("status", "--porcelain") == ""


def test_gitlab_gets_an_empty_code_quality_report_if_nothing_failed(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.run("one", "--gump-ci=gitlab")
    assert json.loads((project.path / ".gump" / "ci" / "code-quality.json").read_text(encoding="utf-8")) == []


SIGNS = st.text(st.sampled_from("a %:,;|`<&*_[]()@#$!\\\r\n\t\x1b\x85\u2028é漢"), max_size=40)


def failed_run(text: str) -> list[LocatedRun]:
    """Return a failed run in which `text` replaces all text of agents, users and tools."""
    gates = (GateResult(text, "failed", text, output=text), GateResult(text, "skipped", text))
    attempt = AttemptRecord(1, "impl", 1, "diff", text, "first", 0.0)
    result = AttemptResult("impl", 1, Outcome.GATE_FAILED, text, text, Timings(0.0, 1.0), gates=gates)
    attempt.finish(to_wire(result))
    step = StepRecord("impl", "diff", [attempt], status="failed", reason=text)
    record = RunRecord(run_id="r", workflow=text, spec=text, status="failed", steps={"impl": step}, reason=text)
    record.preflight = {"gates": [{"name": text, "status": "failed", "summary": text}]}
    loaded = Loaded(Workflow(name="w", steps=()), path=None, source="built-in", text="", lines={})
    return [LocatedRun(record, loaded, Path("/project"))]


def tokens(page: str) -> Iterator[Token]:
    """Yield the tokens of a CommonMark parser with tables for the page, including inline tokens."""
    for token in MarkdownIt("commonmark").enable("table").parse(page):
        yield from token.children or [token]


CODE = {"code_inline", "fence"}


def shown_as_code(page: str) -> str:
    return "\n".join(token.content for token in tokens(page) if token.type in CODE)


def shown_outside_code(page: str) -> str:
    return "\n".join(token.content for token in tokens(page) if token.type not in CODE)


@given(SIGNS | st.text())
def test_any_text_results_in_one_command_with_one_file(text: str) -> None:
    (command,) = annotation_commands(failed_run(text))
    assert not re.search(r"[\r\n\x1b]", command)
    head, _, message = command.removeprefix("::error ").partition("::")
    assert [part.partition("=")[0] for part in head.split(",")] == ["file", "line", "title"]
    assert not re.search("%(?!25|0D|0A)", message)


def test_a_step_that_waits_for_a_person_is_a_warning_with_the_commands() -> None:
    (run,) = failed_run("w")
    attempt = AttemptRecord(1, "impl[a]", 1, "diff", "haiku", "first", 0.0, verdict="awaiting")
    record = RunRecord(run_id="r1", workflow="w", spec="s.md", base="b", status="awaiting", attempts=[attempt])
    record.steps["impl[a]"] = StepRecord("impl[a]", "diff", [attempt], status="awaiting", ended="awaiting")
    record.approvals.questions[1] = Question(1, "impl[a]", "b", "c", "t", 0.0, None, ("diff",))
    waiting = [run._replace(record=record)]
    (command,) = annotation_commands(waiting)
    assert command == (
        "::warning file=s.md,line=1,title=w on s.md%3A impl[a]::"
        "impl[a] waits for approval: gump approve r1 'impl[a]', then pytest --gump-resume=r1"
    )
    assert [found["severity"] for found in code_quality(waiting)] == ["info"]
    text = markdown(waiting)
    assert "\n`impl[a]` waits for approval: `gump approve r1 'impl[a]'`\n\nResume the run with" in text
    assert "| … | `impl[a]` | awaiting |" in text


@given(SIGNS | st.text())
def test_any_text_is_shown_as_code_only(text: str) -> None:
    """The structure of the page does not depend on the text."""
    page = markdown(failed_run(text))
    found = [token.type for token in tokens(page)]
    assert found.count("table_open") == 1
    assert found.count("tr_open") == 2
    assert found.count("th_open") == found.count("td_open") == 9
    assert {token.tag for token in tokens(page) if token.type == "heading_open"} <= {"h3", "h4"}
    assert not {"link_open", "image", "html_inline", "em_open", "s_open", "hr", "softbreak"} & set(found)
    for token in tokens(page):
        if token.type == "html_block":
            assert re.fullmatch(
                r"</details>\n|<details><summary>Output of <code>[^<>]*</code></summary>\n", token.content
            )


@given(st.text(st.sampled_from("`~a \n>-")))
def test_no_line_of_an_output_ends_its_code_block(text: str) -> None:
    (fence,) = [token for token in tokens("\n".join(block(text))) if token.type != "inline"]
    assert fence.type == "fence"
    assert fence.content.splitlines() == text.splitlines()


def test_an_output_is_truncated() -> None:
    assert len(markdown(failed_run("x" * 1_000_000))) < 4 * OUTPUT_CHARS


def test_the_summary_shows_skipped_gates_failures_of_the_base_and_line_counts() -> None:
    (run,) = failed_run("lint")
    changed = (ChangedFile("a.py", "added", 10, 0), ChangedFile("b.bin", "modified", None, None))
    text = markdown([run._replace(changed=changed)])
    assert "\n- lint already fails on the base: `lint`\n" in text
    assert "\n- lint was skipped in `impl`: `lint`\n" in text
    assert "| lint **failed**, lint **skipped** |" in text
    assert "\n**2 files changed, +10 -0** on branch `gump/r`" in text


@given(SIGNS | st.text())
def test_no_text_opens_a_log_section(text: str) -> None:
    lines = log_sections(failed_run(text))
    assert [line.count("\x1b") for line in lines] == [2, *[0] * (len(lines) - 2), 2]
    assert json.dumps(code_quality(failed_run(text)))
