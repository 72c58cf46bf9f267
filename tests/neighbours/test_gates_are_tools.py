"""Gates that are pytest, xdist, coverage or tox themselves, and a project that is installed from the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import pytest_gump

from .kit import make_project, session

WORKFLOW = """\
name: one
steps:
  - name: impl
    agent: claude-haiku
    prompt: Do it.
    gate: ["bash: {command}"]
"""
TOX = "[tox]\nenv_list = py\nno_package = true\n\n[testenv]\nskip_install = true\ncommands = python -c 'import shop; shop.check()'\n"
CODE = "def check():\n    return 1\n"
WRONG = "def check():\n    raise SystemExit('wrong')\n"
TESTS = (
    "import shop\n\ndef test_first():\n    assert shop.check() == 1\n\ndef test_second():\n    assert shop.check()\n"
)

COMMANDS = {
    "pytest": "{python} -m pytest -q",
    "pytest with every plugin on": "{python} -m pytest --cov=shop --reruns=1 --timeout=60 --html=r.html --instafail",
    "pytest -n 2": "{python} -m pytest -n 2",
    "pytest --cov": "{python} -m pytest --cov=shop --cov-fail-under=100",
    "coverage": "{python} -m coverage run -m pytest && {python} -m coverage report --include=shop.py --fail-under=100",
    "tox": "{python} -m tox run -q",
}


@pytest.mark.parametrize("code", [CODE, WRONG], ids=["right", "wrong"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_gate_can_be_another_test_runner(tmp_path: Path, python: str, name: str, code: str) -> None:
    project = make_project(tmp_path / "project")
    project.write({"shop.py": "", "tox.ini": TOX})
    project.workflow("one", WORKFLOW.replace("{command}", COMMANDS[name].replace("{python}", python)))
    project.answer("impl", writes={"shop.py": code, "test_shop.py": TESTS})
    ended = session(project, python, "--cov=shop", "-o", "asyncio_default_fixture_loop_scope=function", workflow="one")
    assert ended.counts == ({"passed": 1} if code == CODE else {"failed": 1}), ended.text
    (gate,) = project.record().attempts[0].result.gates  # type: ignore[union-attr]
    assert gate.status == ("passed" if code == CODE else "failed")
    assert project.git("status", "--porcelain").splitlines() in ([], ["?? .coverage"])


PYPROJECT = {
    "setuptools": '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    '[project]\nname = "shop"\nversion = "1"\n[tool.setuptools]\npackages = ["shop"]\n',
    "hatchling": '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    '[project]\nname = "shop"\nversion = "1"\n',
}
SRC = {
    "setuptools": 'package-dir = {"" = "src"}\n',
    "hatchling": '[tool.hatch.build.targets.wheel]\npackages = ["src/shop"]\n',
}
TEST_GATE = "name: one\nsteps:\n  - name: impl\n    agent: claude-haiku\n    prompt: Do it.\n    gate: [test]\n"


@pytest.mark.parametrize("backend", PYPROJECT)
@pytest.mark.parametrize("layout", ["src", "."])
def test_the_gate_imports_the_worktree_although_the_checkout_is_installed(
    tmp_path: Path, python: str, layout: str, backend: str
) -> None:
    package = f"{layout}/shop/__init__.py".removeprefix("./")
    project = make_project(tmp_path / "project")
    settings = PYPROJECT[backend] + (SRC[backend] if layout == "src" else "")
    tests = "import shop\n\ndef test_value():\n    assert shop.VALUE == 'worktree'\n"
    ignored = "__pycache__/\n*.egg-info/\n.pytest_cache/\n"
    project.write(
        {
            "pyproject.toml": settings,
            package: "VALUE = 'checkout'\n",
            "tests/test_shop.py": tests,
            ".gitignore": ignored,
        }
    )
    project.workflow("one", TEST_GATE)
    own = install(project.path, tmp_path / "venv", python)

    seen = subprocess.run(
        [own, "-c", "import shop; print(shop.VALUE)"], cwd="/", capture_output=True, text=True, check=False
    )
    assert seen.stdout == "checkout\n", seen.stderr
    project.answer("impl", writes={package: "VALUE = 'worktree'\n"})
    ended = session(project, own, workflow="one")
    assert ended.counts == {"passed": 1}, ended.text
    assert "already fails on base: test" in ended.text
    assert project.git("status", "--porcelain") == ""


def install(project: Path, folder: Path, python: str) -> str:
    """Install the project in editable mode, in its own environment that uses the packages of `python`."""
    query = "import json, sysconfig; print(json.dumps(sysconfig.get_path('purelib')))"
    borrowed = json.loads(subprocess.run([python, "-c", query], capture_output=True, text=True, check=True).stdout)
    venv.create(folder, with_pip=False, symlinks=True)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    (site / "zz_borrowed.pth").write_text(f"{borrowed}\n{Path(pytest_gump.__file__).parents[1]}\n", encoding="utf-8")
    own = str(folder / "bin" / "python")
    command = [own, "-m", "pip", "install", "--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--editable"]
    done = subprocess.run(
        [*command, str(project)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert sys.version_info[:2] == tuple(int(part) for part in site.parent.name.removeprefix("python").split("."))
    return own
