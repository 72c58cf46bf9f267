from __future__ import annotations

from pytest_gump.system.environment import child_environment

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


def test_only_the_listed_names_pass() -> None:
    passed = child_environment(source=SOURCE)
    assert passed == {name: SOURCE[name] for name in ("PATH", "HOME", "LC_ALL", "https_proxy", "SSL_CERT_FILE")}


def test_named_variables_pass_when_they_are_set() -> None:
    passed = child_environment(["API_KEY", "NOT_SET"], source=SOURCE)
    assert passed["API_KEY"] == "secret"
    assert "NOT_SET" not in passed


def test_extra_variables_win() -> None:
    assert child_environment(extra={"HOME": "/other", "X": "1"}, source=SOURCE)["HOME"] == "/other"
