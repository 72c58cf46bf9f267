"""The targets of `make bench`: the page lists all of them, and each can fail."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark_module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Return a function that imports a module of the scripts. They run with their folder on the path."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_page_lists_each_target_with_its_limit() -> None:
    table = run("--list").stdout
    assert len(table.splitlines()) > 20
    assert table in (BENCHMARKS / "README.md").read_text(encoding="utf-8")


def test_an_unknown_target_is_refused() -> None:
    done = run("step/none")
    assert (done.returncode, "step/session" in done.stderr) == (2, True)


@pytest.mark.parametrize(("cpu_ms", "wall_ms", "met"), [(300, 300, True), (330, 300, False), (300, 330, False)])
def test_cpu_and_wall_time_are_compared_with_the_floor_of_the_same_run(
    benchmark_module: Callable[[str], Any], cpu_ms: float, wall_ms: float, met: bool
) -> None:
    targets, measure = benchmark_module("targets"), benchmark_module("measure")
    target = targets.Target("step/session", "one step", 400, floors=("pytest",))  # 1.63 floors
    measured = targets.Measured(target.name, (measure.Cost(cpu_ms, wall_ms),), (measure.Cost(200, 200),))
    assert targets.is_met(target, measured) is met


def test_a_command_is_measured_until_its_orphans_end(tmp_path: Path) -> None:
    orphan = "import pathlib, time; time.sleep(0.3); pathlib.Path('ended').touch()"
    script = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {orphan!r}])"
    program = f"""
import pathlib, sys
sys.path.insert(0, {str(BENCHMARKS)!r})
from measure import adopt_orphans, run
adopt_orphans()
run([sys.executable, "-c", {script!r}], cwd=pathlib.Path(), environment={{}})
print(pathlib.Path("ended").exists())
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(sys.platform == "linux")
