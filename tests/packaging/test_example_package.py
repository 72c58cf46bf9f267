"""The example package of workflows: built, installed from its wheel, listed, run, upgraded and resumed."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from tests.packaging.interpreters import INTERPRETERS, ROOT, UV
from tests.packaging.test_wheel import WHEEL, run

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.testing import GumpProject

EXAMPLE: Final = ROOT / "examples" / "acme-workflows"
NEWEST: Final = [path for path in INTERPRETERS.values() if path][-1]
SETTINGS: Final = '[pytest]\ngump_compile = "true"\ngump_test = "true"\n'


def build(folder: Path, version: str) -> Path:
    """Build the wheel of the example with another version and another prompt, and return it."""
    source = folder / f"source-{version}"
    shutil.copytree(EXAMPLE, source)
    for path, old, new in (
        (source / "pyproject.toml", 'version = "1.0"', f'version = "{version}"'),
        (source / "acme_workflows" / "review.yaml", "Find mistakes", f"Find the mistakes of {version}"),
    ):
        assert old in path.read_text(encoding="utf-8")
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", folder / version, source], check=True)
    [wheel] = (folder / version).glob("*.whl")
    return wheel


def test_the_example_package_is_installed_listed_and_upgraded(gump_project: GumpProject, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    old, new = build(tmp_path, "1.0"), build(tmp_path, "1.1")
    subprocess.run([UV, "venv", "--quiet", "--python", NEWEST, environment], check=True)
    subprocess.run([UV, "pip", "install", "--quiet", "--python", environment, WHEEL, old], check=True)
    listed = run(tmp_path, environment, "gump", "playbook", "list")
    rows = [line.split(maxsplit=4) for line in listed.splitlines() if line.startswith("acme/")]
    assert rows == [
        ["acme/change", "package", "acme", "1.0", "Make one change, and let a second agent review it"],
        ["acme/review", "package", "acme", "1.0", "Review a change"],
    ]
    shown = run(tmp_path, environment, "gump", "playbook", "show", "acme/review")
    assert shown == (EXAMPLE / "acme_workflows" / "review.yaml").read_text(encoding="utf-8").replace(
        "Find mistakes", "Find the mistakes of 1.0"
    )
    project = gump_project
    project.write({"pytest.ini": SETTINGS})
    project.commit()
    project.answer("impl", writes={"it.py": "ok = 1\n"})
    project.review("review::correctness", passes=False, comment="no")
    words = ("--gump-workflow=acme/change", f"--gump-replay={project.cassette}", "spec.md")
    with pytest.raises(AssertionError, match="review did not pass: no"):
        run(project.path, environment, "pytest", *words)
    subprocess.run([UV, "pip", "install", "--quiet", "--python", environment, new], check=True)
    assert "acme 1.1" in run(tmp_path, environment, "gump", "playbook", "list")
    project.answer("impl", attempt=2, writes={"it.py": "ok = 2\n"})
    project.review("review::correctness", attempt=2, passes=True)
    resumed = run(project.path, environment, "pytest", "--gump-resume")
    assert "re-run: package acme (1.0 to 1.1) changed" in resumed
    assert "run passed" in resumed
