from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.gates.registry import BUILTIN
from pytest_gump.system.git.changes import ChangedFile

from tests.gates.gate_kit import gate_context

if TYPE_CHECKING:
    from pathlib import Path


def changed(*paths: str) -> list[ChangedFile]:
    return [ChangedFile(path, "modified", 1, 0) for path in paths]


def test_touched_passes_when_a_changed_file_matches(tmp_path: Path) -> None:
    result = BUILTIN["touched"]("docs", gate_context(tmp_path, changed=changed("a.py", "docs/b.md")))
    assert (result.status, result.summary) == ("passed", "1 file changed: docs/b.md")


def test_touched_names_the_pattern_and_the_changed_files(tmp_path: Path) -> None:
    result = BUILTIN["touched"]("docs", gate_context(tmp_path, changed=changed("a.py")))
    assert result.status == "failed"
    assert result.summary == result.output == "no changed file matches docs; changed files: a.py"


def test_touched_fails_if_no_file_changed(tmp_path: Path) -> None:
    result = BUILTIN["touched"]("docs", gate_context(tmp_path))
    assert result.summary == "no changed file matches docs; nothing changed"


def test_untouched_fails_and_names_up_to_ten_files(tmp_path: Path) -> None:
    paths = [f"tests/test_{number:02}.py" for number in range(12)]
    result = BUILTIN["untouched"]("@tests", gate_context(tmp_path, changed=changed("a.py", *paths)))
    assert result.status == "failed"
    assert result.summary.startswith("@tests must not change, but 12 files were changed: tests/test_00.py, ")
    assert result.summary.endswith("tests/test_09.py and 2 more")


def test_untouched_passes_when_no_changed_file_matches(tmp_path: Path) -> None:
    assert BUILTIN["untouched"]("@tests", gate_context(tmp_path, changed=changed("a.py"))).status == "passed"


def test_a_deleted_file_counts_as_changed(tmp_path: Path) -> None:
    context = gate_context(tmp_path, changed=[ChangedFile("tests/test_a.py", "deleted", 0, 9)])
    assert BUILTIN["untouched"]("@tests", context).status == "failed"


def test_at_tests_means_the_test_files_of_the_project(tmp_path: Path) -> None:
    context = gate_context(tmp_path, changed=changed("checks/a.py"), test_patterns=["checks/"])
    assert BUILTIN["touched"]("@tests", context).status == "passed"


def test_a_gate_without_a_pattern_is_an_error(tmp_path: Path) -> None:
    assert [BUILTIN[gate](None, gate_context(tmp_path)).status for gate in ("touched", "untouched")] == [
        "error",
        "error",
    ]


def test_a_name_with_a_newline_stays_on_one_line(tmp_path: Path) -> None:
    result = BUILTIN["untouched"]("*", gate_context(tmp_path, changed=changed("a\nb\x1b[31m")))
    assert result.summary.endswith("changed: a b")
