"""Complete sessions with harmful input: specs, options, settings, plans, verdicts and text of agents."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import pytest
from pytest_gump.agents.cassettes import neutral
from pytest_gump.workflow.path import slugify

from tests.hardening.plain_runs import ONE, check_refused, prepare
from tests.kits.cases import case
from tests.kits.commands import gump

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.testing import GumpProject

ESC: Final = "\x1b[31m\x1b]0;owned\x07\x9b2J\x00\x08"
EVIL: Final = f"{ESC}\n::error::owned\n##[error]owned\r\n  ::set-output name=a::b\n"

DONE: Final = neutral.conversation("Done.")[-1]

PLANNED: Final = """\
name: planned
steps:
  - name: decompose
    agent: claude-opus
    output: plan
    prompt: Split it.
  - name: build
    foreach: decompose
    steps:
      - name: impl
        agent: claude-haiku
        prompt: "Build {item.name}."
        gate: [compile, "bash: cat evil.txt; exit 1"]
        on_failure: {retry: 2}
"""

REVIEWED: Final = """\
name: reviewed
steps:
  - name: check
    agent: claude-opus
    output: review
    prompt: Check it.
    on_failure: {retry: 1}
"""


@pytest.fixture
def project(gump_project: GumpProject) -> GumpProject:
    return prepare(gump_project)


def surroundings(project: GumpProject) -> set[str]:
    """Return every file outside the project and its own folders. A run adds none."""
    own = {project.path, project.cassette, project.path.parent / f"{project.path.name}-cache"}
    return {str(path) for path in project.path.parent.iterdir() if path not in own}


def check_no_traceback(result: pytest.RunResult) -> None:
    output = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output
    assert result.ret in {0, 1, 4}, output


def failing(attempts: int) -> str:
    """Return the workflow `again`, whose step always fails its gate and has so many attempts."""
    text = ONE.replace("name: one", "name: again").replace("gate: [compile]", "gate: ['touched: never.py']")
    return text.replace("retry: 2", f"retry: {attempts}")


def newest_recording(project: GumpProject) -> Path:
    """Return the folder of the last recording of the cassette."""
    takes = json.loads((project.cassette / "index.json").read_text(encoding="utf-8"))["takes"]
    return project.cassette / str(takes[-1]["folder"])


def outcomes(project: GumpProject) -> list[str]:
    return [one.result.outcome for one in project.record().attempts if one.result is not None]


def check_harmless(text: str) -> None:
    """Check that the text contains no control sequence and no CI command."""
    odd = {char for char in text if (ord(char) < 32 and char not in "\n\t") or 0x7F <= ord(char) < 0xA0}
    assert not odd, repr([line for line in text.splitlines() if odd & set(line)][:3])
    commands = [line for line in text.splitlines() if line.lstrip().startswith("::") or "##[" in line]
    assert not commands, commands


# -- specs -------------------------------------------------------------------------------------------------------------


SPECS_REFUSED: Final = {
    "nothing": (b"", "the spec *spec.md is empty"),
    "blank": (b" \n\t\n", "the spec *spec.md is empty"),
    "17 MiB": (b"x" * (17 << 20), "the spec *spec.md has 17825792 bytes; the limit is 16777216"),
}


def test_an_empty_or_too_large_spec_is_refused(project: GumpProject) -> None:
    for name, (content, message) in SPECS_REFUSED.items():
        with case(name):
            (project.path / "spec.md").write_bytes(content)
            project.commit()
            check_refused(project, project.run("one"), message)


SPECS: Final = {
    "long.md": b"word " * (1 << 20),
    "braces.md": b"{spec} {item.name} {{run.id}} {error} {0} %s ${HOME} `id` $(id)\n",
    "escapes.md": EVIL.encode(),
    "binary.md": b"\x00\x01\x02\xff\xfe binary \x00",
    "mark.md": b"\xef\xbb\xbf# With a mark\r\n",
    "unicode.md": "🧪 ünï \u202e reversed".encode(),
    "yaml.md": b"---\nname: yaml\nsteps: []\n---\n",
}


def test_a_spec_may_contain_any_text(project: GumpProject) -> None:
    for name, content in SPECS.items():
        (project.path / name).write_bytes(content)
    workflow = (project.path / ".gump/workflows/one.yaml").read_text().replace("Do it.", '"Do: {spec}"')
    project.workflow("one", workflow)
    *others, last = SPECS
    result = project.run("one", *others, spec=last)
    result.assert_outcomes(passed=len(SPECS))
    check_harmless(result.stdout.str())
    runs = {json.loads((run.path / "run.json").read_text())["spec"]: run for run in project.folders()}
    assert {name: (run.path / "spec.md").read_bytes() for name, run in runs.items()} == SPECS
    (prompt,) = runs["braces.md"].attempts.glob("*/prompt.md")
    assert "{spec} {item.name} {{run.id}}" in prompt.read_text(encoding="utf-8")


def test_a_spec_that_is_not_a_file_is_refused(project: GumpProject) -> None:
    (project.path / "folder.md").mkdir()
    os.mkfifo(project.path / "fifo.md")
    (project.path / "device.md").symlink_to("/dev/zero")
    (project.path / "unfinished-link.md").symlink_to("nowhere")
    for spec in ("folder.md", "fifo.md", "device.md", "unfinished-link.md", "missing.md"):
        with case(spec):
            check_refused(project, project.run("one", spec=spec), "*")
            check_refused(project, project.run("one", f"--gump-spec={spec}", spec="--"), "*")


# -- arguments of the command line ---------------------------------------------------------------------------------------


NO_WORKFLOWS: Final = (
    *("--help", "-x", "../one", "../../etc/passwd", "/etc/passwd", "..", ".", "", " ", "a/b", "a\\b", "one\n"),
    *("x" * 5000, "~", "$HOME", "CON", "nul", "/dev/zero.yaml", "../../x.yaml", "-x.yaml", "one;id", "{spec}"),
)


def test_an_invalid_workflow_name_is_refused(project: GumpProject) -> None:
    for word in NO_WORKFLOWS:
        with case(word):
            check_refused(project, project.run(word), "*")


NO_COMMITS: Final = (
    *("--upload-pack=touch owned", "--help", "-h", "--", "", " ", "HEAD:spec.md", "main..HEAD", "^HEAD", "nowhere"),
    *("refs/heads/../../x", "@{-1}", "HEAD~99", "a b", "\n", "main\nHEAD", "x" * 5000, "--output=owned"),
)


def test_a_base_that_is_not_a_commit_is_refused(project: GumpProject) -> None:
    before = surroundings(project)
    for ref in NO_COMMITS:
        with case(ref):
            check_refused(project, project.run("one", f"--gump-base={ref}"), "*")
            assert not (project.path / "owned").exists()
            assert surroundings(project) == before
    check_no_traceback(project.run("one", "--gump-base=:/start"))  # git's syntax for a commit by its message


def test_an_invalid_agent_name_is_refused(project: GumpProject) -> None:
    for word in ("--version", "-x", "-x=y", "=", "a=b=c", "../x", "claude-haiku=--help", "", "\x1b[31m"):
        with case(word):
            result = project.run("one", f"--gump-agent={word}")
            check_refused(project, result, "*")
            check_harmless(result.stderr.str())


def test_an_unknown_input_is_refused(project: GumpProject) -> None:
    for word in ("--a=b", "=", "", "\x1b[31m=x", "__class__=x"):
        with case(word):
            result = project.run("one", f"--gump-input={word}")
            check_refused(project, result, "*")
            check_harmless(result.stderr.str())


@pytest.mark.parametrize("name", ["-spec.md", "--collect-only.md", "-p.md"])
def test_a_spec_that_starts_with_a_dash_is_a_file(project: GumpProject, name: str) -> None:
    project.write({name: "# Dash\n"})
    project.run("one", f"--gump-spec={name}", spec="--").assert_outcomes(passed=1)
    assert project.record().spec == name


# -- settings --------------------------------------------------------------------------------------------------------------


SETTINGS_REFUSED: Final = (
    b"[gump", b"\x00\xff", b"gump = 1", b"validation = []", b"[gump]\nnope = 1", b"[gump]\ntest = 1",
    b"[gump]\ntest = ''", b'[gump]\ntest = "a\\u0000b"', b"[gump]\nmax_items = 0",
    b"[gump]\nmax_items = -1", b"[gump]\nmax_items = 1e400", b"[gump]\nmax_items = nan",
    b"[gump]\ngate_timeout = -1", b"[gump]\ngate_timeout = inf", b"[gump]\ngate_timeout = nan",
    b"[gump]\ntest_files = ['../x']", b"[gump]\nkeep_ignored = ['/etc']", b"[gump]\nkeep_ignored = ['a/../../b']",
    b"[gump]\nagent_env = ['A=B']", b"[gump]\nagent_env = [1]", b"[gump]\nallow_commands = {a = 1}",
    b"[gump]\nunknown_cost = 'maybe'", b"[gump]\nworktrees = 1", b"a = " + b"[" * 5000,
    b"[validation]\ntest_cmd = [1]", b"[error_context]\nmax_error_chars = 'many'", b"[gump]\n\x1b[31m = 1",
)  # fmt: skip


def test_invalid_settings_are_refused_before_the_run_starts(project: GumpProject) -> None:
    for content in SETTINGS_REFUSED:
        with case(content):
            (project.path / "gump.toml").write_bytes(content)
            project.commit()
            result = project.run("one")
            check_refused(project, result, "*")
            check_harmless(result.stderr.str())


def test_settings_that_are_not_a_file_are_refused_before_the_run_starts(project: GumpProject) -> None:
    place = project.path / "gump.toml"
    place.mkdir()
    check_refused(project, project.run("one"), "*gump.toml*")
    place.rmdir()
    os.mkfifo(place)
    check_refused(project, project.run("one"), "*gump.toml*")
    place.unlink()
    place.symlink_to("/dev/zero")
    check_refused(project, project.run("one"), "*gump.toml*")


# -- output files of agents ---------------------------------------------------------------------------------------------------


WRONG_PLANS: Final = (
    b"", b"[]", b"{}", b"null", b"\x00", b"\xff\xfe", b"[" * 100_000, b'[{"name": "a"}' * 3, b"[1, 2]", b"9" * 5000,
    b'[{"name": "", "description": "d"}]', b'[{"name": "a", "name": "b", "description": "d"}]',
    b'[{"name": "a", "description": "d"}, {"name": "A!", "description": "d"}]',
    b'[{"name": "\\ud800", "description": "d"}]', b'[{"name": "a\\u0000b", "description": "d"}]',
    b'[{"name": "a", "description": "d", "files": ["../../x"]}]',
    b'[{"name": "a", "description": "d", "files": ["/etc/passwd"]}]',
    b'[{"name": "a", "description": "d", "files": ["a/../../x"]}]',
    b'[{"name": "a", "description": "d", "files": "x"}]', b'[{"name": "a", "description": "d", "files": ["\\u0000"]}]',
    b'[{"name": NaN, "description": "d"}]', b'[{"name": "a", "description": 1e999}]', b'"' + b"x" * 2_000_000 + b'"',
)  # fmt: skip


def test_an_invalid_plan_fails_the_attempt(project: GumpProject) -> None:
    project.workflow(
        "planned", f"{PLANNED.partition('  - name: build')[0]}    on_failure: {{retry: {len(WRONG_PLANS)}}}\n"
    )
    for attempt, plan in enumerate(WRONG_PLANS, start=1):
        project.answer("decompose", attempt=attempt, out={"plan.json": plan})
    result = project.run("planned")
    check_no_traceback(result)
    check_harmless(result.stdout.str())
    assert dict(zip(WRONG_PLANS, outcomes(project), strict=True)) == dict.fromkeys(WRONG_PLANS, "output_invalid")


NAMES: Final = (
    *("../../x", "/etc/passwd", "C:\\x", "CON", "nul", "-rf", "--help", "..", ".", "~", "$HOME", "$(id)", "a;id"),
    *("x" * 200, "ünï 🧪", "日本", "::error::x", "a--b", "[*]", "item*", "{spec}", "\u202egnp.exe", "'\"`"),
)


def test_the_name_of_a_plan_item_is_not_used_as_a_path_or_an_option(project: GumpProject) -> None:
    before = surroundings(project)
    project.workflow("planned", PLANNED.replace("cat evil.txt; exit 1", 'test -n \\"$GUMP_ITEM_NAME\\"'))
    project.plan("decompose", *({"name": name, "description": name} for name in NAMES))
    steps = [f"build::impl[{slugify(name, index)}]" for index, name in enumerate(NAMES, start=1)]
    for index, step in enumerate(steps):
        project.answer(step, writes={f"new{index}.py": "x = 1\n"})
    result = project.run("planned")
    check_no_traceback(result)
    check_harmless(result.stdout.str())
    (folder,) = project.folders()
    assert all(path.parent == folder.attempts for path in folder.attempts.iterdir())
    assert surroundings(project) == before
    assert [one.step for one in project.record().attempts] == ["decompose", *steps], result.stdout.str()


WRONG_VERDICTS: Final = (
    b"", b"true", b"{}", b'{"pass": "yes"}', b'{"pass": 1}', b'{"pass": false}', b'{"pass": false, "comment": " "}',
    b'{"pass": true, "comment": 5}', b"\xff", b"[" * 50_000, b'{"pass": true, "pass": false}', b'{"Pass": true}',
    b'{"pass": false, "comment": "\\ud800"}',
)  # fmt: skip


def test_an_invalid_verdict_fails_the_attempt(project: GumpProject) -> None:
    project.workflow("reviewed", REVIEWED.replace("retry: 1", f"retry: {len(WRONG_VERDICTS)}"))
    for attempt, verdict in enumerate(WRONG_VERDICTS, start=1):
        project.answer("check", attempt=attempt, out={"review.json": verdict})
    check_no_traceback(project.run("reviewed"))
    assert dict(zip(WRONG_VERDICTS, outcomes(project), strict=True)) == dict.fromkeys(WRONG_VERDICTS, "output_invalid")


# -- text of agents ------------------------------------------------------------------------------------------------------------


def test_text_of_an_agent_is_cleaned_for_terminals_and_ci_logs(project: GumpProject) -> None:
    project.workflow("planned", PLANNED)
    project.plan(
        "decompose",
        {"name": "an item", "description": EVIL.replace("\x00", "").replace("\x9b", "").replace("\x08", "")},
    )
    evil: list[dict[str, Any]] = [
        {"type": "session", "session_id": EVIL, "model": EVIL},
        {"type": "turn", "text": EVIL},
        {"type": "tool_call", "tool": EVIL, "path": EVIL},
        {"type": "tool_call", "tool": "Bash", "command": EVIL},
        {"type": EVIL, "text": EVIL},
        {"type": "result", "outcome": "ok", "text": EVIL, "cost_usd": 0.01, "reason": EVIL},
    ]
    name = "new\x1b[31m\n::error::owned.py"
    project.answer("build::impl[an-item]", stream=evil, writes={"evil.txt": EVIL, name: "x = (\n"})
    project.answer("build::impl[an-item]", attempt=2, outcome="agent_error", reason=EVIL, says=EVIL)
    result = project.run("planned", "-vv", "--junitxml=out.xml")
    check_no_traceback(result)
    check_harmless(result.stdout.str())
    text = (project.path / "out.xml").read_text(encoding="utf-8")
    check_harmless(text)
    assert "#x1B" not in text
    ET.fromstring(text)
    for words in (
        ["report"],
        ["status"],
        ["log", "impl"],
        ["log", "decompose"],
        ["diff"],
        ["diff", "impl"],
        ["report", "--json"],
    ):
        done = gump(*words)
        check_harmless(done.stdout + done.stderr)


def test_a_comment_of_a_reviewer_is_harmless(project: GumpProject) -> None:
    project.workflow("reviewed", REVIEWED)
    project.answer(
        "check", out={"review.json": json.dumps({"pass": False, "comment": f"no {EVIL}".replace("\x00", "")})}
    )
    result = project.run("reviewed", "-vv", "--junitxml=out.xml")
    check_no_traceback(result)
    check_harmless(result.stdout.str())
    assert "#x1B" not in (project.path / "out.xml").read_text(encoding="utf-8")


LINES: Final = (
    b"\x00", b"\xff\xfe", b"[" * 200_000, b'{"type": "tool_call", "tool": "Write", "path": "\\u0000"}',
    b'{"type": "tool_call", "tool": "Write", "path": "\\ud800/\\udc00"}', b'{"type": 5}', b'{"type": null}', b"{}",
    b'{"type": "tool_call", "tool": "Write", "path": "' + b"x/" * 5000 + b'"}', b'{"type": "turn", "number": 1e308}',
    b'{"type": "usage", "tokens": {"input": -1, "output": "x"}, "cost_usd": "NaN"}', b'{"type": "usage", "cost_usd": 1e999}',
    b'{"type": "result", "outcome": "nope"}', b'{"type": "result", "cost_usd": -5}', b'{"type": "session", "session_id": {}}',
    b'{"type": "session", "session_id": "--help"}', b"9" * 10_000, b'{"type": "result", "text": ["a"]}',
)  # fmt: skip


def test_a_stream_may_contain_any_line(project: GumpProject) -> None:
    project.workflow("again", failing(len(LINES)))
    for attempt, line in enumerate(LINES, start=1):
        project.answer("impl", attempt=attempt, writes={"app.py": f"value = {attempt}\n"})
        stream = newest_recording(project) / "stream.ndjson"
        stream.write_bytes(line + b"\n" + stream.read_bytes())
    result = project.run("again", "-vv")
    check_no_traceback(result)
    check_harmless(result.stdout.str())
    assert len(outcomes(project)) == len(LINES)
    assert project.record().total.cost_usd >= 0


OPTIONS: Final = ("--help", "-x", "a b", "a\0b", "", "x" * 5000, "--dangerously-skip-permissions")


def test_a_session_id_that_looks_like_an_option_is_not_resumed(project: GumpProject) -> None:
    project.workflow("again", failing(len(OPTIONS)))
    for attempt, session_id in enumerate(OPTIONS, start=1):
        stream = [{"type": "started", "session_id": session_id}, DONE]
        project.answer("impl", attempt=attempt, writes={"new.py": f"x = {attempt}\n"}, stream=stream)
    project.run("again")
    attempts = project.record().attempts
    assert [(one.result.outcome, one.result.session) for one in attempts if one.result] == [
        ("gate_failed", None) for _ in OPTIONS
    ]


# -- cassettes ---------------------------------------------------------------------------------------------------------------


WRONG_INDEXES: Final = (
    b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"version": 2}', b'{"version": 1}', b'{"version": 1, "takes": {}}',
    b'{"version": 1, "takes": [1]}', b'{"version": 1, "takes": [{"step": "impl", "attempt": 1, "folder": "../x"}]}',
    b'{"version": 1, "takes": [{"step": "impl", "attempt": 1, "folder": "/etc"}]}',
    b'{"version": 1, "takes": [{"step": "impl", "attempt": 0, "folder": "x"}]}',
    b'{"version": 1, "takes": [{"step": "impl", "attempt": 1, "folder": "a\\u0000b"}]}',
    b'{"version": 1, "takes": [{"step": 5, "attempt": 1, "folder": "x"}]}',
)  # fmt: skip


def test_an_invalid_cassette_is_refused_before_the_run_starts(project: GumpProject) -> None:
    for index in WRONG_INDEXES:
        with case(index):
            (project.cassette / "index.json").write_bytes(index)
            check_refused(project, project.run("one"), "*index.json*")


WRONG_TAKES: Final = (
    ("exit.json", b"[]"), ("exit.json", b'{"exit_code": "x"}'), ("exit.json", b'{"exit_code": []}'), ("exit.json", b"[" * 90_000),
    ("timing.json", b"5"), ("timing.json", b'{"pauses_s": 5}'), ("timing.json", b'{"pauses_s": ["x"]}'),
    ("timing.json", b'{"pauses_s": [{}]}'), ("delete.json", b"5"), ("delete.json", b"[5]"), ("delete.json", b'["../../x"]'),
    ("delete.json", b'["/etc/passwd"]'), ("delete.json", b'["a\\u0000b"]'), ("tree.patch", b"no patch"),
    ("tree.patch", b"--- a/../../x\n+++ b/../../x\n@@ -0,0 +1 @@\n+owned\n"),
)  # fmt: skip


def test_an_invalid_recording_is_an_agent_error(project: GumpProject) -> None:
    before = surroundings(project)
    project.workflow("planned", PLANNED.replace("foreach: decompose", "foreach: decompose\n    parallel: true"))
    project.plan("decompose", *(f"item-{number}" for number, _ in enumerate(WRONG_TAKES)))
    for number, (name, content) in enumerate(WRONG_TAKES):
        project.answer(f"build::impl[item-{number}]", writes={"app.py": f"value = {number}\n"})
        (newest_recording(project) / name).write_bytes(content)
    check_no_traceback(project.run("planned"))
    _, *results = [one.result for one in project.record().attempts if one.result is not None]
    found = {take: result.outcome for take, result in zip(WRONG_TAKES, results, strict=True)}
    assert found == dict.fromkeys(WRONG_TAKES, "agent_error")
    assert [result.reason for result in results if "cassette" not in result.reason] == []
    assert surroundings(project) == before


def test_a_recording_reads_no_file_outside_the_cassette(project: GumpProject) -> None:
    take = next(path for path in project.cassette.iterdir() if path.is_dir())
    secret = project.cassette.parent / f"{project.path.name}-secret"
    secret.write_text("secret\n", encoding="utf-8")
    (take / "files" / "leak.txt").symlink_to(secret)
    result = project.run("one")
    result.assert_outcomes(failed=1)
    assert "secret" not in project.git("log", "--all", "-p")
