"""What two commands that do the same have in common."""

from __future__ import annotations

import pytest
from pytest_gump.engine.run.fingerprint import portable


@pytest.mark.parametrize("folder", ["/opt/venv", "/home/me/my project/.venv"])
def test_a_command_is_the_same_wherever_python_is_installed(folder: str) -> None:
    quoted = f"'{folder}/python'" if " " in folder else f"{folder}/python"
    places = {f"{folder}/lib/check.py": "check", f"{folder}/python": "python"}
    assert portable(f"{quoted} -m pytest", places) == "python -m pytest"
    assert portable(f"{folder}/python {folder}/lib/check.py", places) == "python check"
    assert portable("make test", places) == "make test"
