from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from pytest_gump.gates.view import Diff, StepView

if TYPE_CHECKING:
    from pathlib import Path

PATCH = """\
diff --git a/old.py b/new.py
similarity index 90%
--- a/old.py
+++ b/new.py
@@ -3,4 +3,4 @@ def f():
 same
-x = 1  # TODO old
+x = 2  # TODO new
+++ counter
 same
-- gone
\\ No newline at end of file
@@ -40 +41 @@
-last
+last TODO
\\ No newline at end of file
diff --git a/gone.py b/gone.py
--- a/gone.py
+++ /dev/null
@@ -1 +0,0 @@
-bye TODO
"""


def test_added_lines_have_the_line_number_of_the_new_file() -> None:
    found = Diff(PATCH).added_lines_matching("TODO")
    assert [(line.path, line.line, line.text) for line in found] == [
        ("new.py", 4, "x = 2  # TODO new"),
        ("new.py", 41, "last TODO"),
    ]


def test_removed_lines_have_the_line_number_of_the_old_file() -> None:
    found = Diff(PATCH).removed_lines_matching(r"TODO$|old")
    assert [repr(line) for line in found] == ["old.py:4: x = 1  # TODO old", "gone.py:1: bye TODO"]


def test_lines_that_look_like_headers_are_content() -> None:
    diff = Diff(PATCH)
    assert [line.text for line in diff.added_lines_matching("counter")] == ["++ counter"]
    assert [line.text for line in diff.removed_lines_matching("gone$")] == ["- gone"]


def test_a_name_quoted_by_git_is_read() -> None:
    patch = '--- /dev/null\n+++ "b/\\303\\244 \\"x\\".py"\n@@ -0,0 +1 @@\n+y\n'
    assert Diff(patch).added_lines_matching("y")[0].path == 'ä "x".py'


def test_a_diff_can_be_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "diff.patch").write_text(PATCH)
    diff = Diff(file=tmp_path / "diff.patch")
    assert len(diff.added_lines_matching("TODO")) == 2
    assert str(diff) == str(Diff(PATCH)) == PATCH


def test_a_missing_or_broken_diff_has_no_lines(tmp_path: Path) -> None:
    assert Diff(file=tmp_path / "none").added_lines_matching("") == []
    assert str(Diff(file=tmp_path / "none")) == ""
    assert Diff("@@ -1,9 +1,9 @@\n+cut").added_lines_matching("") != []


def test_the_view_has_a_short_repr(tmp_path: Path) -> None:
    view = StepView("build::impl[a]", 2, tmp_path, diff=Diff(PATCH))
    assert repr(view) == "<step build::impl[a], attempt 2>"
    assert repr(view.diff) == "<diff>"


def test_the_view_is_immutable(tmp_path: Path) -> None:
    view = StepView("impl", 1, tmp_path)
    with pytest.raises(dataclasses.FrozenInstanceError):
        view.attempt = 2  # type: ignore[misc]
