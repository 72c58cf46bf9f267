"""Ledgers and headers with unexpected content. Every command reads them or reports the error."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.hardening.plain_runs import prepare
from tests.kits.commands import gump
from tests.kits.examples import examples

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

    from tests.kits.saved import Saved

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["../../x", "-rf", "\x1b[31m"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)
COMMANDS = (
    ["status"],
    ["report"],
    ["report", "--json"],
    ["log"],
    ["log", "impl"],
    ["diff"],
    ["apply"],
    ["discard", "--help"],
)


@pytest.fixture
def project(gump_project: GumpProject, saved: Saved) -> GumpProject:
    """Return a project with one finished run."""
    saved.give("one that passed", gump_project, _pass)
    return gump_project


def _pass(project: GumpProject) -> None:
    prepare(project)
    project.run("one").assert_outcomes(passed=1)


def check_commands(project: GumpProject) -> None:
    """Check that each command ends with a documented exit code and changes nothing."""
    head = project.git("rev-parse", "HEAD")
    for words in COMMANDS:
        done = gump(*words)
        output = done.stdout + done.stderr
        assert done.returncode in {0, 1, 2}, (words, output)
        assert "\x1b" not in output
        assert "Traceback" not in output
    if project.git("rev-parse", "HEAD") != head:  # an apply that could be done
        project.git("reset", "--quiet", "--hard", head)


def changed(record: Any, path: tuple[int, ...], value: Any) -> Any:
    """Return the JSON with another value at the position that `path` selects."""
    if not path or not isinstance(record, dict | list) or not record:
        return value
    keys = list(record) if isinstance(record, dict) else range(len(record))
    key = keys[path[0] % len(keys)]
    copy = record.copy()
    copy[key] = changed(record[key], path[1:], value)
    return copy


@examples(20, HealthCheck.function_scoped_fixture)
@given(path=st.lists(st.integers(0, 30), min_size=1, max_size=5), value=ANYTHING)
def test_commands_handle_a_ledger_with_a_changed_value(project: GumpProject, path: list[int], value: Any) -> None:
    ledger = project.folders()[0].ledger
    whole = ledger.with_suffix(".whole")
    if not whole.exists():
        shutil.copy(ledger, whole)
    events = [json.loads(line) for line in whole.read_bytes().splitlines()]
    odd = changed(events, tuple(path), value)
    lines = odd if isinstance(odd, list) else [odd]
    ledger.write_text("".join(json.dumps(event) + "\n" for event in lines), encoding="utf-8")
    check_commands(project)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\x00" * 100, b"{}\n", b"[]\n", b"null\n{}\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n\n", b'{"event": 5, "at": 1}\n',
     b'{"event": "run_started"}\n', b'{"event": "run_started", "at": "x"}\n', b'{"event": "new kind", "at": 1}\n'],
)  # fmt: skip
def test_commands_handle_an_invalid_ledger(project: GumpProject, content: bytes) -> None:
    project.folders()[0].ledger.write_bytes(content)
    check_commands(project)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"format": 2}',
        b'{"format": 1}',
        b'{"format": 1, "workflow": 5, "spec": []}',
    ],
)
def test_commands_handle_an_invalid_header(project: GumpProject, content: bytes) -> None:
    (project.folders()[0].path / "run.json").write_bytes(content)
    check_commands(project)


@pytest.mark.parametrize("end", range(1, 400, 57))
def test_commands_handle_a_truncated_ledger(project: GumpProject, end: int) -> None:
    ledger = project.folders()[0].ledger
    ledger.write_bytes(ledger.read_bytes()[:-end])
    check_commands(project)
