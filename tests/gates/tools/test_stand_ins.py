"""Files of a change that replace tools of a gate, and product code that manipulates its test run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.gates.tools import stand_ins as stand_ins_module
from pytest_gump.gates.tools.reach import new_reach
from pytest_gump.gates.tools.stand_ins import second_copies, stand_ins, standard_stand_ins

if TYPE_CHECKING:
    from pathlib import Path


def found(tmp_path: Path, *added: str, base: tuple[str, ...] = ()) -> list[str]:
    (tmp_path / "src").mkdir(exist_ok=True)
    return stand_ins(added, tmp_path, lambda path: b"" if path in base else None)


@pytest.mark.parametrize(
    "path",
    ["pytest.py", "src/pytest.py", "_pytest/__init__.py", "pluggy/x.py", "iniconfig.cpython-311.so", "xdist/plugin.py",
     "coverage.py", "src/ruff/__main__.py", "sitecustomize.py", "src/usercustomize/__init__.py", "execnet.pyc"],
)  # fmt: skip
def test_a_file_named_like_a_tool_is_found_in_each_source_folder(tmp_path: Path, path: str) -> None:
    assert found(tmp_path, path) == [path]


@pytest.mark.parametrize(
    "path", ["app/pytest.py", "tests/pytest.py", "pytest.md", "pytest/notes.txt", "docs/coverage.py", "pytest_own.py"]
)
def test_other_files_are_allowed(tmp_path: Path, path: str) -> None:
    assert found(tmp_path, path) == []


def test_modules_of_a_plugin_are_read_from_its_list_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = tmp_path / "site" / "pytest_own-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: Pytest.Own\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[pytest11]\nown = own_plugin\n")
    (about / "RECORD").write_text('own_plugin.py,sha256=x,1\n"own_parts/a, b.py",,\n\nown_data/x.txt,,\n')
    monkeypatch.syspath_prepend(about.parent)
    for cached in (stand_ins_module._installed, stand_ins_module.tool_modules):
        cached.cache_clear()
    added = ("own_plugin.py", "own_parts/c.py", "own_data/x.py")
    try:
        assert found(tmp_path, *added) == [*added[:2]]
    finally:
        for cached in (stand_ins_module._installed, stand_ins_module.tool_modules):
            cached.cache_clear()


def test_a_project_that_is_such_a_tool_can_add_files(tmp_path: Path) -> None:
    assert found(tmp_path, "src/xdist/new.py", base=("src/xdist/__init__.py",)) == []


def test_modules_of_the_standard_library_are_found_separately(tmp_path: Path) -> None:
    assert standard_stand_ins(["json/__init__.py", "wave.py", "a/wave.py"], tmp_path, lambda _: None) == [
        "json/__init__.py",
        "wave.py",
    ]


@pytest.mark.parametrize(
    ("source", "uses"),
    [
        ("import os\nos._exit(0)", ["os._exit"]),
        ("from os import _exit", ["os._exit"]),
        ("import atexit", ["import atexit"]),
        ("from gc import get_objects", ["gc.get_objects", "import gc"]),
        ("import pytest as p", ["import pytest"]),
        ("x = '_pytest'", ["'_pytest'"]),
        ("import sys\nsys.modules['x'] = 1", ["sys.modules assigned"]),
        ("import sys\nsys.exit = print", ["sys.exit assigned"]),
        ("class A:\n def __eq__(self, other): return True", ["__eq__ that ignores its argument"]),
        ("class A:\n def __eq__(self, other): return bool(1)", ["__eq__ that ignores its argument"]),
        ("class A:\n def __eq__(self, other): return NotImplemented", []),
        ("class A:\n def __lt__(self, other): raise TypeError", []),
        ("class A:\n __eq__ = answer", ["__eq__ assigned"]),
        ("A = type('A', (), {'__eq__': answer})", ["__eq__ by name"]),
        ("from unittest import mock", ["import unittest.mock"]),
        ("from unittest.mock import ANY", ["import unittest.mock"]),
        ("import unittest.mock", ["import unittest.mock"]),
        ("import os\ngetattr(os, '_ex' + 'it')(0)", ["getattr(os, ...)"]),
        ("import os\ngetattr(os, 'getuid')()", []),
        ("class A:\n def __eq__(self, other): return self.x == other.x", []),
        ("class A:\n def __eq__(self, other): return isinstance(other, A)", []),
        ("text = 'pytest is a test runner'", []),
        ("import sys\nsys.exit(1)\nprint(sys.modules)", []),
        ("no python", []),
    ],
)
def test_use_of_the_test_run_is_named(source: str, uses: list[str]) -> None:
    assert new_reach(source.encode(), lambda: None) == uses


def test_use_of_the_test_run_on_the_base_is_not_named() -> None:
    assert new_reach(b"import atexit\nx = 1", lambda: b"import atexit\n") == []
    assert new_reach(b"import os\nos._exit(0)\nos._exit(1)", lambda: b"import os\nos._exit(0)") == ["os._exit"]


@given(st.binary(max_size=100))
def test_any_bytes_can_be_checked(source: bytes) -> None:
    assert isinstance(new_reach(source, lambda: source), list)


def test_a_second_module_with_the_same_name_is_found(tmp_path: Path) -> None:
    for name in ("app.py", "src/app.py", "src/other.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    added = ["src/app.py", "src/other.py"]
    assert second_copies(added, tmp_path, lambda _path: None) == ["src/app.py"]
    assert second_copies(added, tmp_path, lambda path: b"" if path == "src/app.py" else None) == []
