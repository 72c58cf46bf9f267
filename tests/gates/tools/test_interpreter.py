"""Changes to the Python installation that gates use."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest
from pytest_gump.gates.tools.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of installed packages with a plugin. The first folder on PATH is empty."""
    folder = tmp_path / "site-packages"
    (folder / "pytest").mkdir(parents=True)
    (folder / "pytest/tool.py").write_text("one = 1\n")
    (folder / "other.py").write_text("")
    (folder / "old.pth").write_text("")
    (tmp_path / "bin").mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    return folder


def metadata(site: Path, name: str, *, entry: str = "") -> None:
    folder = site / f"{name}-1.dist-info"
    folder.mkdir()
    (folder / "RECORD").write_text("")
    (folder / "entry_points.txt").write_text(entry)


def backdated(site: Path) -> None:
    path = site / "pytest/tool.py"
    status = path.stat()
    path.write_text("one = 2\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def fake_tool(site: Path) -> None:
    fake = site.parent / "bin/make"
    fake.write_text("#!/bin/sh\n")
    fake.chmod(0o755)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda site: (site / "new.pth").write_text("import os"), "new.pth"),
        (lambda site: (site / "old.pth").write_text("import os"), "old.pth"),
        (lambda site: (site / "old.pth").unlink(), "old.pth"),
        (lambda site: (site / "sitecustomize.py").write_text(""), "sitecustomize.py"),
        (lambda site: (site / "pytest/more.py").write_text(""), "more.py"),
        (lambda site: (site / "pluggy.py").write_text(""), "pluggy.py"),
        (backdated, "tool.py"),
        (lambda site: metadata(site, "x", entry="[pytest11]\nx = x\n"), "x-1.dist-info"),
        (fake_tool, "make"),
    ],
)
def test_a_change_that_can_affect_gates_is_found(site: Path, change: Callable[[Path], object], named: str) -> None:
    before = Interpreter.now(["make test"])
    assert before.changes().deciding == ()
    change(site)
    changes = before.changes()
    assert [one.rpartition("/")[2] for one in changes.deciding] == [named]
    assert Interpreter.from_wire(asdict(before)).changes() == changes


def test_a_newly_installed_package_is_named_separately(site: Path) -> None:
    before = Interpreter.now([])
    metadata(site, "requests")
    (site / "requests").mkdir()
    (site / "other.py").write_text("changed = 1\n")
    (site / "pytest/__pycache__").mkdir()
    (site / "pytest/__pycache__/tool.pyc").write_bytes(b"")
    changes = before.changes()
    assert changes.deciding == ()
    assert [one.rpartition("/")[2] for one in changes.installed] == ["requests-1.dist-info"]


def test_a_new_link_to_a_file_of_a_distribution_is_not_a_change(site: Path) -> None:
    import base64
    import hashlib

    tool = site / "pytest/tool.py"
    digest = base64.urlsafe_b64encode(hashlib.sha256(tool.read_bytes()).digest()).rstrip(b"=").decode()
    metadata(site, "pytest")
    (site / "pytest-1.dist-info/RECORD").write_text(f"pytest/tool.py,sha256={digest},8\n")
    before = Interpreter.now([])
    os.link(tool, site.parent / "second")
    assert before.changes().deciding == ()
    backdated(site)
    assert [one.rpartition("/")[2] for one in before.changes().deciding] == ["tool.py"]
