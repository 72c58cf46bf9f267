"""The folder in which detected gate commands run."""

from __future__ import annotations

import pytest
from pytest_gump.gates.tools.project_commands import package_around

FILES = ["pyproject.toml", "packages/api/pyproject.toml", "packages/api/tests/test_x.py", "packages/js/package.json"]


@pytest.mark.parametrize(
    ("folder", "package"),
    [
        ("", ""),
        ("packages", ""),
        ("packages/api", "packages/api"),
        ("packages/api/tests", "packages/api"),
        ("packages/js/src/deep", "packages/js"),
        ("packages/apis", ""),
    ],
)
def test_a_package_is_the_nearest_folder_with_its_own_settings(folder: str, package: str) -> None:
    assert package_around(FILES, folder) == package
