"""The map of the folders in CONTRIBUTING.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest_gump

PACKAGE = Path(pytest_gump.__file__).parent
PAGE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_map_has_every_package_with_the_sentence_of_its_docstring() -> None:
    packages = {
        path.parent.relative_to(PACKAGE.parent).as_posix(): ast.get_docstring(ast.parse(path.read_text("utf-8")))
        for path in PACKAGE.rglob("__init__.py")
        if path.parent != PACKAGE
    }
    assert dict(re.findall(r"^\| `(pytest_gump/[^`]+)/` \| (.*) \|$", PAGE, re.MULTILINE)) == packages
