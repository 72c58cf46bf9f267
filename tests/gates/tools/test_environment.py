from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import textwrap
import venv
from pathlib import Path

import pytest
import pytest_gump
from pytest_gump.gates.tools.environment import gate_environment, own_python, source_roots


def project(root: Path, value: str, layout: str = "src") -> Path:
    package = root / layout / "shop"
    package.mkdir(parents=True)
    (root / "pyproject.toml").write_text("[project]\nname = 'shop'\n")
    (package / "__init__.py").write_text(f"VALUE = {value!r}\n")
    (root / "tests").mkdir(exist_ok=True)
    (root / "tests" / "test_shop.py").write_text(
        "import shop\n\ndef test_value():\n    assert shop.VALUE == 'worktree'\n"
    )
    return root


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a virtual environment that uses pytest of the running one."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False, symlinks=True)
    site_dir(folder).joinpath("borrowed.pth").write_text(
        f"{sysconfig.get_path('purelib')}\n{Path(pytest_gump.__file__).parents[1]}\n"
    )
    return folder


def site_dir(environment: Path) -> Path:
    return next((environment / "lib").glob("python*")) / "site-packages"


FINDER = """
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
MAPPING = {{'shop': {location!r}}}

class _EditableFinder:
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname in MAPPING:
            return spec_from_file_location(fullname, MAPPING[fullname] + '/__init__.py')

def install():
    sys.meta_path.append(_EditableFinder)
"""
"""The form of the finder that setuptools writes for an editable installation of a flat layout."""


def value_seen(interpreter: Path, worktree: Path, env: dict[str, str]) -> str:
    python = interpreter / "bin" / "python"
    command = [str(python), "-c", "import shop; print(shop.VALUE)"]
    ended = subprocess.run(
        command, cwd=worktree / "tests", env=env, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    return ended.stdout.strip()


@pytest.mark.parametrize("installation", ["pth", "finder"])
@pytest.mark.parametrize("layout", ["src", "."])
def test_the_worktree_overrides_an_editable_installation_of_the_checkout(
    tmp_path: Path, interpreter: Path, layout: str, installation: str
) -> None:
    checkout = project(tmp_path / "checkout", "checkout", layout)
    worktree = project(tmp_path / "worktree", "worktree", layout)
    installed = site_dir(interpreter) / "__editable__.shop.pth"
    if installation == "pth":
        installed.write_text(f"{checkout / layout}\n")
    else:
        finder = FINDER.format(location=str(checkout / layout / "shop"))
        (site_dir(interpreter) / "__editable___shop_finder.py").write_text(textwrap.dedent(finder))
        installed.write_text("import __editable___shop_finder; __editable___shop_finder.install()\n")

    assert value_seen(interpreter, worktree, {}) == "checkout"
    assert value_seen(interpreter, worktree, gate_environment(worktree)) == "worktree"


def test_the_test_gate_imports_the_change_from_the_worktree(tmp_path: Path, interpreter: Path) -> None:
    checkout = project(tmp_path / "checkout", "checkout")
    worktree = project(tmp_path / "worktree", "worktree")
    (site_dir(interpreter) / "__editable__.shop.pth").write_text(f"{checkout / 'src'}\n")
    command = [str(interpreter / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"]

    def run(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=worktree, env=env, capture_output=True, text=True, check=False)

    assert run({}).returncode == 1
    assert run(gate_environment(worktree)).returncode == 0


def test_source_folders_come_before_the_root(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    assert source_roots(tmp_path) == [tmp_path / "src", tmp_path]


@pytest.mark.parametrize(
    "settings",
    [
        '[tool.setuptools]\npackage-dir = {"" = "lib"}',
        '[tool.setuptools.packages.find]\nwhere = ["lib"]',
        '[tool.hatch.build.targets.wheel]\npackages = ["lib/shop"]',
        '[tool.poetry]\npackages = [{include = "shop", from = "lib"}]',
        '[tool.pdm.build]\npackage-dir = "lib"',
        '[tool.maturin]\npython-source = "lib"',
        '[tool.uv.build-backend]\nmodule-root = "lib"',
    ],
)
def test_the_source_folder_of_a_build_backend_is_used(tmp_path: Path, settings: str) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "pyproject.toml").write_text(settings)
    assert source_roots(tmp_path) == [tmp_path / "lib", tmp_path]


@pytest.mark.parametrize("folder", ["/etc", "../other", "a:b", "gone"])
def test_a_declared_folder_outside_is_ignored(tmp_path: Path, folder: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[tool.pdm.build]\npackage-dir = "{folder}"')
    assert source_roots(tmp_path) == [tmp_path]


@pytest.mark.parametrize(
    "text",
    [
        "tool = 3",
        "[tool]\nsetuptools = 1\npoetry = {packages = [1]}",
        "\0",
        "[tool.hatch]\nbuild = []",
        f"a = {'9' * 5000}",
    ],
)
def test_an_invalid_pyproject_is_ignored(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert source_roots(tmp_path) == [tmp_path]


def test_an_existing_python_path_follows_the_worktree(tmp_path: Path) -> None:
    (tmp_path / "setup.py").touch()
    added = gate_environment(tmp_path, {"PYTHONPATH": f"/checkout{os.pathsep}{os.pathsep}/lib"})
    assert added["PYTHONPATH"].split(os.pathsep) == [str(tmp_path), "/checkout", "/lib"]


def test_other_languages_get_no_python_path(tmp_path: Path) -> None:
    (tmp_path / "go.mod").touch()
    assert gate_environment(tmp_path) == {"PYTHONDONTWRITEBYTECODE": "1"}


def test_node_projects_do_not_watch(tmp_path: Path) -> None:
    (tmp_path / "package.json").touch()
    assert gate_environment(tmp_path)["CI"] == "true"
    assert gate_environment(tmp_path, {"CI": "1"})["CI"] == "1"


def test_variables_of_the_outer_session_are_not_added(tmp_path: Path) -> None:
    (tmp_path / "setup.py").touch()
    assert "PYTEST_CURRENT_TEST" in os.environ
    assert not [name for name in gate_environment(tmp_path) if name.startswith("PYTEST")]
    assert sys.executable not in gate_environment(tmp_path).values()


def test_the_virtual_environment_of_this_python_comes_first_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    own = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", os.pathsep.join(["/usr/bin", own, "/bin"]))
    monkeypatch.setattr(sys, "base_prefix", "/somewhere/else")
    assert own_python() == {"PATH": os.pathsep.join([own, "/usr/bin", "/bin"])}
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    assert own_python() == {}
