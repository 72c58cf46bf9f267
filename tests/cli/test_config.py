"""Messages of `gump config` and `gump doctor` about files with settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Gump


def test_every_value_names_its_file(gump: Gump, monkeypatch: pytest.MonkeyPatch) -> None:
    path = gump.project.pytester.path
    gump.project.write(
        {
            "pytest.ini": "[pytest]\ngump_max_items = 5\n",
            "gump.toml": "[gump]\nerror_chars = 1\n",
            "sub/gump.toml": "[validation]\ntest_cmd = 'make check'\n",
        }
    )
    monkeypatch.chdir(path / "sub")
    settings = json.loads(gump.good("config", "--json"))["settings"]
    assert settings["gump_max_items"]["source"] == str(path / "pytest.ini")
    assert settings["gump_test"] == {"value": "make check", "source": "sub/gump.toml [validation] test_cmd"}
    assert settings["gump_error_chars"]["source"] == "default"


def test_the_user_file_is_read_and_keys_without_effect_are_named(
    gump: Gump, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".gump").mkdir()
    (home / ".gump" / "config.toml").write_text("[display]\nverbose = true\n[validation]\nlint_cmd = 'make lint'\n")
    monkeypatch.setenv("HOME", str(home))
    gump.project.write({"pytest.ini": "[pytest]\ngump_tset = make\n"})
    data = json.loads(gump.good("config", "--json"))
    assert data["settings"]["gump_lint"]["source"] == "~/.gump/config.toml [validation] lint_cmd"
    first, second = data["notes"]
    assert first.endswith("pytest.ini: 'gump_tset' has no effect\n  hint: did you mean 'gump_test'?")
    assert second == "~/.gump/config.toml:2:1: 'verbose' has no effect\n  hint: use -v of pytest"
    assert "note: ~/.gump/config.toml:2:1: 'verbose' has no effect\n  hint: use -v of pytest" in gump.good("config")


@pytest.mark.parametrize("command", ["config", "doctor", "models"])
@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("gump.toml", "[validaton]\n", "gump.toml:1:1: unknown table 'validaton'\n  hint: did you mean 'validation'?"),
        ("gump.toml", "[gump]\nmax_items = [1]\n", "gump.toml:2:1: [gump] max_items: must be a whole number above"),
        ("pytest.ini", "[pytest]\ngump_prices = x\n", "gump_prices: 'x' is not NAME = INPUT/OUTPUT"),
        ("pytest.ini", "[pytest\n", "pytest cannot read its configuration: "),
        ("pytest.ini", "[pytest]\n[pytest]\n", "pytest cannot read its configuration: "),
        ("setup.cfg", "[pytest]\nx = 1\n", "pytest cannot read its configuration: "),
        ("pyproject.toml", "\udcff", "pytest cannot read its configuration: "),
    ],
    ids=["table", "type", "price", "syntax", "twice", "setup.cfg", "bytes"],
)
def test_an_invalid_file_is_one_error(gump: Gump, command: str, file: str, content: str, message: str) -> None:
    (gump.project.pytester.path / file).write_bytes(content.encode("utf-8", "surrogateescape"))
    errors = gump.bad(command, code=2)
    assert message in errors
    assert errors.startswith("gump: error: ")
    assert "Traceback" not in errors
