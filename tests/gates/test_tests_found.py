from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.gates.registry import BUILTIN
from pytest_gump.system.git.changes import ChangedFile

from tests.gates.gate_kit import gate_context

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.gates.base import GateResult

OLD = "def test_old():\n    assert True\n"


def run_gate(tmp_path: Path, now: dict[str, str | None], before: dict[str, str]) -> GateResult:
    """Run the gate on a change. None in `now` is a deleted file."""
    for name, text in now.items():
        if text is not None:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
    changed = [
        ChangedFile(name, "deleted" if text is None else "modified" if name in before else "added", 1, 1)
        for name, text in now.items()
    ]
    base = {name: text.encode() for name, text in before.items()}
    return BUILTIN["tests_found"](None, gate_context(tmp_path, changed=changed, read_base=base.get))


def test_a_new_test_that_imports_a_missing_module_counts(tmp_path: Path) -> None:
    now: dict[str, str | None] = {"tests/test_a.py": "from shop import cart\ndef test_a(): cart()\ndef test_b(): ...\n"}
    result = run_gate(tmp_path, now, {})
    assert (result.status, result.summary) == ("passed", "2 new or changed tests in 1 file")


def test_old_tests_in_a_changed_file_do_not_count(tmp_path: Path) -> None:
    now: dict[str, str | None] = {"tests/test_a.py": f"# a comment\nimport os\n\n{OLD}"}
    result = run_gate(tmp_path, now, {"tests/test_a.py": OLD})
    assert result.status == "failed"
    assert result.summary == "no new or changed test function in the changed test files: tests/test_a.py"


def test_a_changed_test_counts(tmp_path: Path) -> None:
    now: dict[str, str | None] = {"tests/test_a.py": OLD.replace("True", "1 + 1 == 2")}
    assert run_gate(tmp_path, now, {"tests/test_a.py": OLD}).status == "passed"


def test_a_moved_test_does_not_count(tmp_path: Path) -> None:
    now: dict[str, str | None] = {"tests/test_b.py": OLD, "tests/test_a.py": None}
    assert run_gate(tmp_path, now, {"tests/test_a.py": OLD}).status == "failed"


def test_a_test_outside_the_test_files_does_not_count(tmp_path: Path) -> None:
    result = run_gate(tmp_path, {"src/shop.py": OLD}, {})
    assert (result.status, result.summary) == ("failed", "no test file was added or changed since the step began")


def test_a_test_file_that_cannot_be_parsed_is_named_with_its_line(tmp_path: Path) -> None:
    result = run_gate(tmp_path, {"tests/test_a.py": "\ndef test_a(:\n"}, {})
    assert result.status == "failed"
    assert result.summary == "no test function found; tests/test_a.py does not parse: line 2: invalid syntax"


def test_a_file_that_could_not_be_parsed_on_the_base_had_no_tests(tmp_path: Path) -> None:
    now: dict[str, str | None] = {"tests/test_a.py": OLD}
    assert run_gate(tmp_path, now, {"tests/test_a.py": "def"}).status == "passed"


def test_a_link_at_the_path_of_a_test_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.py").write_text(OLD)
    (tmp_path / "test_a.py").symlink_to(tmp_path / "outside.py")
    context = gate_context(tmp_path, changed=[ChangedFile("test_a.py", "added", 1, 0)])
    assert BUILTIN["tests_found"](None, context).status == "failed"


def test_new_go_tests_count_and_old_ones_do_not(tmp_path: Path) -> None:
    old = "package x\nfunc TestA(t *testing.T) {}\n"
    now: dict[str, str | None] = {"x_test.go": f"{old}func TestB(t *testing.T) {{}}\n"}
    result = run_gate(tmp_path, now, {"x_test.go": old})
    assert result.summary == "1 new or changed test in 1 file"
