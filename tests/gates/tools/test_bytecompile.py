from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pytest_gump.gates.tools.detect import BYTECOMPILE


def compiled(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(BYTECOMPILE)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_valid_files_compile_without_writing_files(tmp_path: Path) -> None:
    (tmp_path / "a file.py").write_text("x = 1\n")
    (tmp_path / "-rf.py").write_text('"\\d"\n')
    before = sorted(tmp_path.rglob("*"))
    ended = compiled(tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "2 Python files compile\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_each_broken_file_is_named_with_line_and_source(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "bad.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "nul.py").write_bytes(b"x = '\0'\n")
    (tmp_path / "latin.py").write_bytes(b"x = '\xff'\n")
    (tmp_path / "good.py").write_text("")
    ended = compiled(tmp_path)
    assert ended.returncode == 1
    assert "pkg/bad.py:2: SyntaxError: invalid syntax\n    def f(:\n" in ended.stdout
    assert ended.stdout.endswith("3 of 4 Python files do not compile\n")
    assert "Traceback" not in ended.stdout + ended.stderr


def test_deep_nesting_is_a_failure_without_a_crash(tmp_path: Path) -> None:
    (tmp_path / "deep.py").write_text("(" * 5000 + ")" * 5000)
    (tmp_path / "chain.py").write_text("-" * 200_000 + "1")
    ended = compiled(tmp_path)
    assert ended.returncode == 1
    assert "deep.py" in ended.stdout


def test_environments_caches_and_links_are_ignored(tmp_path: Path) -> None:
    for folder in ("node_modules", "__pycache__", "env", "target"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bad.py").write_text("def")
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "target" / "CACHEDIR.TAG").touch()
    (tmp_path / "link.py").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo.py")
    (tmp_path / "folder.py").mkdir()
    assert compiled(tmp_path).stdout == "0 Python files compile\n"


def test_a_name_with_special_characters_is_printed(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.py")).write_text("def")
    ended = compiled(tmp_path)
    assert ended.returncode == 1
    assert "a\\udcff.py:1: SyntaxError" in ended.stdout


def test_a_module_of_the_tree_is_never_imported(tmp_path: Path) -> None:
    (tmp_path / "warnings.py").write_text("raise SystemExit('imported')\n")
    assert compiled(tmp_path).stdout == "1 Python file compiles\n"
