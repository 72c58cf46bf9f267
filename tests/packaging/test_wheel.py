"""Wheel and sdist: their files, their metadata, and their use in a fresh environment."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement

from tests.packaging.interpreters import INTERPRETERS, PROJECT, ROOT, UV

DIST: Final = Path(os.environ["GUMP_DIST"])
[WHEEL] = DIST.glob("*.whl")
[SDIST] = DIST.glob("*.tar.gz")
NAME: Final = f"pytest_gump-{PROJECT['version']}"
FOUND: Final = [version for version, path in INTERPRETERS.items() if path]


def tracked() -> set[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(listed.stdout.rstrip("\0").split("\0"))


def run(folder: Path, environment: Path, *command: str | Path) -> str:
    """Return the output of a command with the environment first on PATH, and without variables of this session."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "GUMP_", "PYTEST_"))}
    path = os.pathsep.join([str(environment / "bin"), os.environ["PATH"]])
    done = subprocess.run(
        command,
        cwd=folder,
        env=kept | {"PATH": path, "VIRTUAL_ENV": str(environment)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_wheel_contains_only_the_package_and_the_workflows() -> None:
    with ZipFile(WHEEL) as wheel:
        names = set(wheel.namelist())
    about = {name for name in names if name.startswith(f"{NAME}.dist-info/")}
    files = {name for name in tracked() if name.startswith("pytest_gump/")}
    workflows = {f"pytest_gump/{name}" for name in tracked() if name.startswith("workflows/")}
    assert names - about == files | workflows
    assert {"pytest_gump/py.typed", "pytest_gump/agents/price_table.json", "pytest_gump/workflows/tdd.yaml"} <= names
    assert f"{NAME}.dist-info/licenses/LICENSE" in about


def test_the_sdist_contains_the_files_that_git_tracks() -> None:
    with tarfile.open(SDIST) as sdist:
        names = {member.name.removeprefix(f"{NAME}/") for member in sdist.getmembers() if member.isfile()}
    assert names == tracked() | {"PKG-INFO"}


def test_the_metadata_is_valid_and_matches_pyproject() -> None:
    with ZipFile(WHEEL) as wheel:
        about = Metadata.from_email(wheel.read(f"{NAME}.dist-info/METADATA"), validate=True)
    assert (about.name, str(about.version), about.summary) == (
        PROJECT["name"],
        PROJECT["version"],
        PROJECT["description"],
    )
    assert str(about.requires_python) == PROJECT["requires-python"]
    assert about.license_expression == PROJECT["license"]
    assert about.description == (ROOT / PROJECT["readme"]).read_text(encoding="utf-8")
    assert about.description_content_type == "text/markdown"
    plain = {one.name.lower() for one in about.requires_dist or [] if one.marker is None}
    assert plain == {Requirement(one).name.lower() for one in PROJECT["dependencies"]}


@pytest.mark.parametrize("version", FOUND)
def test_a_fresh_environment_runs_the_installed_wheel(version: str, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([UV, "venv", "--quiet", "--python", INTERPRETERS[version], environment], check=True)
    subprocess.run([UV, "pip", "install", "--quiet", "--python", environment, f"{WHEEL}[demo]"], check=True)
    assert run(tmp_path, environment, "gump", "--version") == f"pytest-gump {PROJECT['version']}\n"
    listed = run(tmp_path, environment, "gump", "playbook", "list")
    assert {line.split()[0] for line in listed.splitlines()[1:]} == {
        path.stem for path in ROOT.glob("workflows/*.yaml")
    }
    assert "claude-haiku" in run(tmp_path, environment, "gump", "models")
    assert "--gump-workflow" in run(tmp_path, environment, "pytest", "--help")
    with tarfile.open(SDIST) as sdist:
        sdist.extractall(tmp_path, filter="data")
    shown = run(tmp_path, environment, tmp_path / NAME / "examples" / "demo.sh", tmp_path / "demo")
    assert "run passed — 3 items, 6 steps, 3 retries, 1 escalation" in shown
    assert "Done: three changes are merged" in shown
