"""Whole sessions on input that was made to do harm: specs, options, settings, plans, verdicts and words of agents."""

from __future__ import annotations

import contextlib
import io
import json
import os
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import pytest
from pytest_gump.agents.cassettes import neutral
from pytest_gump.cli.program import main

from tests.hardening.plain_runs import check_refused, prepare

if TYPE_CHECKING:
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
    """Every file beside the project and its own folders: a run adds none."""
    own = {project.path, project.cassette, project.path.parent / f"{project.path.name}-cache"}
    return {str(path) for path in project.path.parent.iterdir() if path not in own}


def check_no_traceback(result: pytest.RunResult) -> None:
    told = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in told
    assert "INTERNALERROR" not in told
    assert result.ret in {0, 1, 4}, told


def check_harmless(text: str) -> None:
    """Hold that no control sequence and no CI command got through."""
    odd = {char for char in text if (ord(char) < 32 and char not in "\n\t") or 0x7F <= ord(char) < 0xA0}
    assert not odd, repr([line for line in text.splitlines() if odd & set(line)][:3])
    commands = [line for line in text.splitlines() if line.lstrip().startswith("::") or "##[" in line]
    assert not commands, commands


# -- specs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the spec *spec.md is empty"),
        (b" \n\t\n", "the spec *spec.md is empty"),
        (b"x" * (17 << 20), "the spec *spec.md has 17825792 bytes; the limit is 16777216"),
    ],
    ids=["nothing", "blank", "17 MiB"],
)
def test_a_spec_that_says_nothing_or_too_much_is_refused(project: GumpProject, content: bytes, message: str) -> None:
    (project.path / "spec.md").write_bytes(content)
    project.commit()
    check_refused(project, project.run("one"), message)


@pytest.mark.parametrize(
    "content",
    [
        b"word " * (1 << 20),
        b"{spec} {item.name} {{run.id}} {error} {0} %s ${HOME} `id` $(id)\n",
        EVIL.encode(),
        b"\x00\x01\x02\xff\xfe binary \x00",
        b"\xef\xbb\xbf# With a mark\r\n",
        "🧪 ünï \u202e reversed".encode(),
        b"---\nname: yaml\nsteps: []\n---\n",
    ],
    ids=["5 MB", "braces", "escapes", "binary", "mark", "unicode", "yaml"],
)
def test_a_spec_may_hold_anything(project: GumpProject, content: bytes) -> None:
    (project.path / "spec.md").write_bytes(content)
    project.commit()
    project.workflow("one", (project.path / ".gump/workflows/one.yaml").read_text().replace("Do it.", '"Do: {spec}"'))
    result = project.run("one")
    result.assert_outcomes(passed=1)
    check_harmless(result.stdout.str())
    assert (project.folders()[0].path / "spec.md").read_bytes() == content
    if b"{" in content:
        assert "{spec} {item.name} {{run.id}}" in project.prompt("impl")


@pytest.mark.parametrize("kind", ["folder", "fifo", "device", "missing", "unfinished link"])
def test_a_spec_that_is_no_file_is_refused(project: GumpProject, kind: str) -> None:
    spec = project.path / "odd.md"
    match kind:
        case "folder":
            spec.mkdir()
        case "fifo":
            os.mkfifo(spec)
        case "device":
            spec.symlink_to("/dev/zero")
        case "unfinished link":
            spec.symlink_to("nowhere")
        case _:
            pass
    check_refused(project, project.run("one", spec="odd.md"), "*")
    check_refused(project, project.run("one", "--gump-spec=odd.md", spec="--"), "*")


# -- words of the command line -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    [
        *(
            "--help",
            "-x",
            "../one",
            "../../etc/passwd",
            "/etc/passwd",
            "..",
            ".",
            "",
            " ",
            "a/b",
            "a\\b",
            "one\n",
            "x" * 5000,
        ),
        *("~", "$HOME", "CON", "nul", "/dev/zero.yaml", "../../x.yaml", "-x.yaml", "one;id", "{spec}"),
    ],
)
def test_a_workflow_is_named_by_a_name(project: GumpProject, word: str) -> None:
    check_refused(project, project.run(word), "*")


@pytest.mark.parametrize(
    "ref",
    [
        *("--upload-pack=touch owned", "--help", "-h", "--", "", " ", "HEAD:spec.md", "main..HEAD", "^HEAD", "nowhere"),
        *("refs/heads/../../x", ":/start", "@{-1}", "HEAD~99", "a b", "\n", "main\nHEAD", "x" * 5000, "--output=owned"),
    ],
)
def test_a_base_is_a_commit(project: GumpProject, ref: str) -> None:
    before = surroundings(project)
    result = project.run("one", f"--gump-base={ref}")
    if ref == ":/start":  # git's own way to name a commit by its message
        check_no_traceback(result)
        return
    check_refused(project, result, "*")
    assert not (project.path / "owned").exists()
    assert surroundings(project) == before


@pytest.mark.parametrize(
    "word", ["--version", "-x", "-x=y", "=", "a=b=c", "../x", "claude-haiku=--help", "", "\x1b[31m"]
)
def test_an_agent_is_named_by_a_name(project: GumpProject, word: str) -> None:
    result = project.run("one", f"--gump-agent={word}")
    check_refused(project, result, "*")
    check_harmless(result.stderr.str())


@pytest.mark.parametrize("word", ["--a=b", "=", "", "\x1b[31m=x", "__class__=x"])
def test_an_input_is_one_that_the_workflow_has(project: GumpProject, word: str) -> None:
    result = project.run("one", f"--gump-input={word}")
    check_refused(project, result, "*")
    check_harmless(result.stderr.str())


@pytest.mark.parametrize("name", ["-spec.md", "--collect-only.md", "-p.md"])
def test_a_spec_that_begins_with_a_dash_is_only_a_file(project: GumpProject, name: str) -> None:
    project.write({name: "# Dash\n"})
    project.run("one", f"--gump-spec={name}", spec="--").assert_outcomes(passed=1)
    assert project.record().spec == name


# -- settings --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"[gump", b"\x00\xff", b"gump = 1", b"validation = []", b"[gump]\nnope = 1", b"[gump]\ntest = 1",
        b"[gump]\ntest = ''", b'[gump]\ntest = "a\\u0000b"', b"[gump]\nmax_items = 0",
        b"[gump]\nmax_items = -1", b"[gump]\nmax_items = 1e400", b"[gump]\nmax_items = nan",
        b"[gump]\ngate_timeout = -1", b"[gump]\ngate_timeout = inf", b"[gump]\ngate_timeout = nan",
        b"[gump]\ntest_files = ['../x']", b"[gump]\nkeep_ignored = ['/etc']", b"[gump]\nkeep_ignored = ['a/../../b']",
        b"[gump]\nagent_env = ['A=B']", b"[gump]\nagent_env = [1]", b"[gump]\nallow_commands = {a = 1}",
        b"[gump]\nunknown_cost = 'maybe'", b"[gump]\nworktrees = 1", b"a = " + b"[" * 5000,
        b"[validation]\ntest_cmd = [1]", b"[error_context]\nmax_error_chars = 'many'", b"[gump]\n\x1b[31m = 1",
    ],
)  # fmt: skip
def test_wrong_settings_are_told_before_anything_starts(project: GumpProject, content: bytes) -> None:
    (project.path / "gump.toml").write_bytes(content)
    project.commit()
    result = project.run("one")
    check_refused(project, result, "*")
    check_harmless(result.stderr.str())


@pytest.mark.parametrize("kind", ["folder", "fifo", "device"])
def test_settings_that_are_no_file_are_told_before_anything_starts(project: GumpProject, kind: str) -> None:
    place = project.path / "gump.toml"
    match kind:
        case "folder":
            place.mkdir()
        case "fifo":
            os.mkfifo(place)
        case _:
            place.symlink_to("/dev/zero")
    check_refused(project, project.run("one"), "*gump.toml*")


# -- what agents hand over ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plan",
    [
        b"", b"[]", b"{}", b"null", b"\x00", b"\xff\xfe", b"[" * 100_000, b'[{"name": "a"}' * 3, b"[1, 2]", b"9" * 5000,
        b'[{"name": "", "description": "d"}]', b'[{"name": "a", "name": "b", "description": "d"}]',
        b'[{"name": "a", "description": "d"}, {"name": "A!", "description": "d"}]',
        b'[{"name": "\\ud800", "description": "d"}]', b'[{"name": "a\\u0000b", "description": "d"}]',
        b'[{"name": "a", "description": "d", "files": ["../../x"]}]',
        b'[{"name": "a", "description": "d", "files": ["/etc/passwd"]}]',
        b'[{"name": "a", "description": "d", "files": ["a/../../x"]}]',
        b'[{"name": "a", "description": "d", "files": "x"}]', b'[{"name": "a", "description": "d", "files": ["\\u0000"]}]',
        b'[{"name": NaN, "description": "d"}]', b'[{"name": "a", "description": 1e999}]', b'"' + b"x" * 2_000_000 + b'"',
    ],
)  # fmt: skip
def test_a_wrong_plan_is_told_to_the_agent(project: GumpProject, plan: bytes) -> None:
    project.workflow("planned", PLANNED)
    project.answer("decompose", out={"plan.json": plan})
    result = project.run("planned")
    check_no_traceback(result)
    check_harmless(result.stdout.str())
    assert project.record().attempts[0].result.outcome == "output_invalid"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../../x",
            "/etc/passwd",
            "C:\\x",
            "CON",
            "nul",
            "-rf",
            "--help",
            "..",
            ".",
            "~",
            "$HOME",
            "$(id)",
            "a;id",
        ),
        *("x" * 200, "ünï 🧪", "日本", "::error::x", "a--b", "[*]", "item*", "{spec}", "\u202egnp.exe", "'\"`"),
    ],
)
def test_the_name_of_a_plan_item_is_never_a_path_or_an_option(project: GumpProject, name: str) -> None:
    before = surroundings(project)
    project.workflow(
        "planned", PLANNED.replace(', "bash: cat evil.txt; exit 1"', ', "bash: test -n \\"$GUMP_ITEM_NAME\\""')
    )
    project.plan("decompose", {"name": name, "description": name})
    result = project.run("planned")
    check_no_traceback(result)
    check_harmless(result.stdout.str())
    folders = project.folders()
    assert len(folders) == 1
    assert all(path.parent == folders[0].attempts for path in folders[0].attempts.iterdir())
    assert surroundings(project) == before
    attempts = project.record().attempts
    assert len(attempts) > 1, result.stdout.str()
    assert attempts[1].step.startswith("build::impl[")


@pytest.mark.parametrize(
    "verdict",
    [
        b"", b"true", b"{}", b'{"pass": "yes"}', b'{"pass": 1}', b'{"pass": false}', b'{"pass": false, "comment": " "}',
        b'{"pass": true, "comment": 5}', b"\xff", b"[" * 50_000, b'{"pass": true, "pass": false}', b'{"Pass": true}',
        b'{"pass": false, "comment": "\\ud800"}',
    ],
)  # fmt: skip
def test_a_wrong_verdict_is_told_to_the_agent(project: GumpProject, verdict: bytes) -> None:
    project.workflow("reviewed", REVIEWED)
    project.answer("check", out={"review.json": verdict})
    result = project.run("reviewed")
    check_no_traceback(result)
    assert project.record().attempts[0].result.outcome in {"output_invalid", "review_failed"}  # type: ignore[union-attr]


# -- what agents say -----------------------------------------------------------------------------------------------------------


def commands(project: GumpProject, *words: str) -> str:
    """What the commands of `gump` print, all of them."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        main(list(words))
    return printed.getvalue()


def test_no_word_of_an_agent_reaches_a_terminal_or_a_ci_log_raw(project: GumpProject) -> None:
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
        check_harmless(commands(project, *words))


def test_a_comment_of_a_reviewer_is_harmless(project: GumpProject) -> None:
    project.workflow("reviewed", REVIEWED)
    project.answer(
        "check", out={"review.json": json.dumps({"pass": False, "comment": f"no {EVIL}".replace("\x00", "")})}
    )
    result = project.run("reviewed", "-vv", "--junitxml=out.xml")
    check_no_traceback(result)
    check_harmless(result.stdout.str())
    assert "#x1B" not in (project.path / "out.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "line",
    [
        b"\x00", b"\xff\xfe", b"[" * 200_000, b'{"type": "tool_call", "tool": "Write", "path": "\\u0000"}',
        b'{"type": "tool_call", "tool": "Write", "path": "\\ud800/\\udc00"}', b'{"type": 5}', b'{"type": null}', b"{}",
        b'{"type": "tool_call", "tool": "Write", "path": "' + b"x/" * 5000 + b'"}', b'{"type": "turn", "number": 1e308}',
        b'{"type": "usage", "tokens": {"input": -1, "output": "x"}, "cost_usd": "NaN"}', b'{"type": "usage", "cost_usd": 1e999}',
        b'{"type": "result", "outcome": "nope"}', b'{"type": "result", "cost_usd": -5}', b'{"type": "session", "session_id": {}}',
        b'{"type": "session", "session_id": "--help"}', b"9" * 10_000, b'{"type": "result", "text": ["a"]}',
    ],
)  # fmt: skip
def test_a_line_of_a_stream_may_be_anything(project: GumpProject, line: bytes) -> None:
    take = next(path for path in project.cassette.iterdir() if path.is_dir())
    whole = (take / "stream.ndjson").read_bytes()
    (take / "stream.ndjson").write_bytes(line + b"\n" + whole)
    result = project.run("one", "-vv")
    check_no_traceback(result)
    check_harmless(result.stdout.str())
    assert project.record().attempts[0].result is not None
    assert project.record().total.cost_usd >= 0


@pytest.mark.parametrize(
    "session_id", ["--help", "-x", "a b", "a\0b", "", "x" * 5000, "--dangerously-skip-permissions"]
)
def test_a_session_that_could_be_an_option_is_not_resumed(project: GumpProject, session_id: str) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"}, stream=[{"type": "started", "session_id": session_id}, DONE])
    project.run("one").assert_outcomes(passed=1)
    assert project.record().attempts[0].result.session is None  # type: ignore[union-attr]


# -- cassettes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [
        b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"version": 2}', b'{"version": 1}', b'{"version": 1, "takes": {}}',
        b'{"version": 1, "takes": [1]}', b'{"version": 1, "takes": [{"step": "impl", "attempt": 1, "folder": "../x"}]}',
        b'{"version": 1, "takes": [{"step": "impl", "attempt": 1, "folder": "/etc"}]}',
        b'{"version": 1, "takes": [{"step": "impl", "attempt": 0, "folder": "x"}]}',
        b'{"version": 1, "takes": [{"step": "impl", "attempt": 1, "folder": "a\\u0000b"}]}',
        b'{"version": 1, "takes": [{"step": 5, "attempt": 1, "folder": "x"}]}',
    ],
)  # fmt: skip
def test_a_wrong_cassette_is_told_before_anything_starts(project: GumpProject, index: bytes) -> None:
    (project.cassette / "index.json").write_bytes(index)
    check_refused(project, project.run("one"), "*index.json*")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("exit.json", b"[]"), ("exit.json", b'{"exit_code": "x"}'), ("exit.json", b'{"exit_code": []}'), ("exit.json", b"[" * 90_000),
        ("timing.json", b"5"), ("timing.json", b'{"pauses_s": 5}'), ("timing.json", b'{"pauses_s": ["x"]}'),
        ("timing.json", b'{"pauses_s": [{}]}'), ("delete.json", b"5"), ("delete.json", b"[5]"), ("delete.json", b'["../../x"]'),
        ("delete.json", b'["/etc/passwd"]'), ("delete.json", b'["a\\u0000b"]'), ("tree.patch", b"no patch"),
        ("tree.patch", b"--- a/../../x\n+++ b/../../x\n@@ -0,0 +1 @@\n+owned\n"),
    ],
)  # fmt: skip
def test_a_wrong_take_is_an_error_of_the_agent_that_says_so(project: GumpProject, name: str, content: bytes) -> None:
    before = surroundings(project)
    take = next(path for path in project.cassette.iterdir() if path.is_dir())
    (take / name).write_bytes(content)
    result = project.run("one")
    check_no_traceback(result)
    outcome = project.record().attempts[0].result
    assert outcome is not None
    assert outcome.outcome == "agent_error"
    assert "cassette" in outcome.reason
    assert surroundings(project) == before


def test_a_take_reads_no_file_from_elsewhere(project: GumpProject) -> None:
    take = next(path for path in project.cassette.iterdir() if path.is_dir())
    secret = project.cassette.parent / f"{project.path.name}-secret"
    secret.write_text("secret\n", encoding="utf-8")
    (take / "files" / "leak.txt").symlink_to(secret)
    result = project.run("one")
    result.assert_outcomes(failed=1)
    assert "secret" not in project.git("log", "--all", "-p")
