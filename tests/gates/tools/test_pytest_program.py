"""The program that runs a detected pytest: real sessions on small projects."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.gates.registry import BUILTIN
from pytest_gump.gates.tools.pytest_command import guarded

from tests.gates.gate_kit import gate_context

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.gates.base import GateResult

pytestmark = pytest.mark.session

COMMAND = f"{shlex.quote(sys.executable)} -m pytest"
TEST = "from app import value\n\n\ndef test_value():\n    assert value == 1\n"


def gate(folder: Path, files: dict[str, str], **others: Any) -> GateResult:
    for name, text in {"app.py": "value = 1\n", "tests/test_app.py": TEST, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return BUILTIN["test"](None, gate_context(folder, commands={"test": COMMAND}, **others))


@pytest.fixture
def without_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable installed plugins, which take half of the start of a session. The honest projects load them."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def test_only_detected_commands_are_rewritten(tmp_path: Path) -> None:
    assert guarded(f"{COMMAND} tests", tmp_path) is None
    assert guarded("make test", tmp_path) is None
    assert guarded("/usr/bin/python3.9 -m pytest", tmp_path) is None
    assert guarded("cd a && /usr/bin/python3.9 -m pytest", tmp_path) is None
    package = guarded(f"cd 'a b' && {COMMAND}", tmp_path)
    assert package is not None
    assert package.gives_records
    measured = guarded(
        f"{sys.executable} -m coverage run --source=. -m pytest && {sys.executable} -m coverage report", tmp_path
    )
    assert measured is not None
    assert measured.command.endswith(f"-- && {sys.executable} -m coverage report")


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="flat"),
        pytest.param({"app.py": "raise RuntimeError\n", "src/app.py": "value = 1\n"}, id="src"),
        pytest.param({"pytest.ini": "[pytest]\naddopts = -n1\n"}, id="xdist"),
        pytest.param({"pytest.ini": "[pytest]\naddopts = -p no:terminal -q\n"}, id="no-terminal"),
        pytest.param({"pytest.ini": "[pytest]\naddopts = --lf --sw -x\n"}, id="last-failed"),
        pytest.param({"pytest.ini": "[pytest]\nfilterwarnings = error\n"}, id="warnings-are-errors"),
        pytest.param(
            {"pytest.ini": "[pytest]\naddopts = -p own\n", "own.py": "def pytest_configure(): pass\n"}, id="own-plugin"
        ),
        pytest.param(
            {"pytest.ini": "[pytest]\naddopts = --doctest-modules\n", "d.py": '"""\n>>> 1\n1\n"""\n'}, id="doctest"
        ),
    ],
)
def test_an_honest_project_passes_with_a_record_per_test(tmp_path: Path, files: dict[str, str]) -> None:
    result = gate(tmp_path, files)
    assert (result.status, result.exit_code) == ("passed", 0), result
    assert result.tests is not None
    assert result.tests["passed"] == result.tests["collected"] == (2 if "d.py" in files else 1)


@pytest.mark.usefixtures("without_plugins")
@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"app.py": "import os\nos._exit(0)\n"}, "did not finish"),
        ({"app.py": "value = 2\nimport atexit, os\natexit.register(os._exit, 0)\n"}, "pytest with 1"),
        ({"app.py": "import pytest\nclass V:\n def __eq__(self, o): pytest.exit('x', returncode=0)\nvalue = V()\n"}, "only 0 of 1"),
        ({"app.py": "value = 2\nimport sys\nsys.exit = lambda code=0: None\nimport os, atexit\natexit.register(os._exit, 0)\n"}, "pytest with 1"),
        ({"pytest.ini": "[pytest]\naddopts = --collect-only\n"}, "only 0 of 1"),
        ({"pytest.ini": "[pytest]\naddopts = --setup-only\n"}, "only 0 of 1"),
        ({"pytest.ini": "[pytest]\naddopts = --markers\n"}, "no test ran"),
        ({"conftest.py": "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n", "app.py": "value = 2\n"}, "did not pass"),
    ],
)  # fmt: skip
def test_exit_code_0_without_passed_tests_fails(tmp_path: Path, files: dict[str, str], why: str) -> None:
    result = gate(tmp_path, files)
    assert (result.status, result.exit_code) == ("failed", 0)
    assert why in result.summary


@pytest.mark.usefixtures("without_plugins")
@pytest.mark.parametrize(
    "option",
    ["-m unit", "-k other", "--deselect=tests/test_app.py", "--ignore=tests/test_app.py", "--ignore-glob=tests*"],
)
def test_an_option_in_addopts_that_deselects_all_tests_is_named(tmp_path: Path, option: str) -> None:
    result = gate(tmp_path, {"pytest.ini": f"[pytest]\naddopts = {option}\nmarkers = unit\n"})
    assert (result.status, result.exit_code) == ("failed", 5)
    assert option in result.summary
    assert "addopts" in result.summary
    assert "gump_test" in result.summary


@pytest.mark.parametrize("name", ["pytest.py", "iniconfig.py", "_pytest/__init__.py", "xdist/__init__.py"])
def test_a_file_named_like_the_runner_is_not_imported(tmp_path: Path, name: str) -> None:
    result = gate(tmp_path, {name: "import os\nos._exit(0)\n", "app.py": "value = 2\n"})
    assert (result.status, result.exit_code) == ("failed", 1)
    assert result.tests == {"collected": 1, "failed": 1}


def test_processes_of_tests_import_from_the_worktree_without_the_descriptor(tmp_path: Path) -> None:
    test = (
        "import multiprocessing, os, subprocess, sys\nfrom app import value\n\ndef double(n):\n    return n * 2 * value\n\n"
        "def test_children():\n    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        assert pool.map(double, [2]) == [4]\n"
        "    code = 'import app, os; print(app.value, [n for n in range(3, 200) if os.path.exists(f\"/dev/fd/{n}\")])'\n"
        "    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd='/').stdout\n"
        "    assert said.startswith('1 ')\n    assert said.count(',') <= 1\n"
    )
    result = gate(tmp_path, {"tests/test_children.py": test})
    assert result.status == "passed", result.output
