from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.system.environment import checkout_around, child_environment

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = {
    "PATH": "/bin",
    "HOME": "/home/x",
    "LC_ALL": "C.UTF-8",
    "https_proxy": "http://proxy",
    "SSL_CERT_FILE": "/ca.pem",
    "GIT_DIR": "/elsewhere",
    "API_KEY": "secret",
    "PYTEST_ADDOPTS": "-x",
    "GUMP_ATTEMPT": "outer",
}


def test_only_listed_variables_are_passed_on() -> None:
    passed = child_environment(source=SOURCE)
    assert passed == {name: SOURCE[name] for name in ("PATH", "HOME", "LC_ALL", "https_proxy", "SSL_CERT_FILE")}


def test_named_variables_are_passed_on_if_they_are_set() -> None:
    passed = child_environment(["API_KEY", "NOT_SET"], source=SOURCE)
    assert passed["API_KEY"] == "secret"
    assert "NOT_SET" not in passed


def test_extra_variables_take_precedence() -> None:
    assert child_environment(extra={"HOME": "/other", "X": "1"}, source=SOURCE)["HOME"] == "/other"


def test_empty_folder_named_git_is_not_a_checkout(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    assert checkout_around(project / "src") != tmp_path
    (project / ".git").mkdir()
    (project / ".git/HEAD").write_text("ref: refs/heads/main\n")
    assert checkout_around(project / "src") == project
