"""Tables of objects whose modules are imported at lookup."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pytest_gump.agents.family import FAMILIES
from pytest_gump.gates.registry import BUILTIN
from pytest_gump.system.lazy import LazyMapping


@pytest.mark.parametrize("table", [FAMILIES, BUILTIN], ids=["agents", "gates"])
def test_every_name_of_a_table_can_be_looked_up(table: LazyMapping[object]) -> None:
    assert [name for name in table if not callable(table[name])] == []
    assert len(table) == len([*table])


def test_unknown_name_is_missing() -> None:
    table: LazyMapping[object] = LazyMapping({"known": "json:loads"})
    assert ("known" in table, "other" in table, table.get("other")) == (True, False, None)


def test_lookup_imports_only_the_module_of_the_name() -> None:
    code = (
        "import sys\nfrom pytest_gump.agents.family import FAMILIES, find_built_in\n"
        "find_built_in('other'); 'claude' in FAMILIES; [*FAMILIES]; FAMILIES['codex']\n"
        "print([name.rpartition('.')[2] for name in sys.modules if name.startswith('pytest_gump.agents.clis.c')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['command_words', 'codex']\n"
