"""Call hooks of conftests and other plugins.

An invalid gate or agent is an error that names the hook and its conftest. Errors of other hooks do not affect the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_gump.errors import ConfigError
from pytest_gump.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STOPS: Final = (KeyboardInterrupt, pytest.exit.Exception)
"""Exceptions that end the session."""
_WANTED = {
    "pytest_gump_gates": "a dict of names and functions",
    "pytest_gump_agents": "a dict of names and adapters or agent names",
}


def hook_answers(session: pytest.Session) -> Callable[[Path, str], dict[str, Any]]:
    """Return a function that calls a hook once for each path and merges the returned dicts."""

    @cache
    def collect(path: Path, name: str) -> dict[str, Any]:
        return merged(session.gethookproxy(path), name)

    return collect


def merged(hooks: Any, name: str) -> dict[str, Any]:
    """Call the hook of all plugins and merge the returned dicts.

    Raises:
        ConfigError: A hook raised an error or returned another type.
    """
    caller = getattr(hooks, name)
    try:
        answers = caller()
    except STOPS:
        raise
    except BaseException as error:
        raise ConfigError(f"{name} raised {in_a_line(error)} ({_where(error)})", hint=_hint(name)) from error
    for answer in answers:
        _check(caller, name, answer)
    return {key: value for answer in answers for key, value in answer.items()}


def _check(caller: Any, name: str, answer: object) -> None:
    wrong = None
    if not isinstance(answer, Mapping):
        wrong = f"a {type(answer).__name__}"
    elif not all(isinstance(key, str) for key in answer):
        wrong = "names that are not strings"
    elif name == "pytest_gump_gates" and (odd := [key for key, gate in answer.items() if not callable(gate)]):
        wrong = f"a gate {odd[0]!r} that is not a function"
    if wrong is not None:
        known = ", ".join(dict.fromkeys(str(hook.plugin_name) for hook in caller.get_hookimpls()))
        raise ConfigError(f"{known}: {name} returns {wrong}, not {_WANTED[name]}", hint=_hint(name))


def _where(error: BaseException) -> str:
    """Return the innermost location of an error, in the conftest or in code that it calls."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def _hint(name: str) -> str:
    return f"see docs/reference/hooks.md, {name}"


def trouble(call: Callable[[], object]) -> str | None:
    """Call a hook. Return its error as text; None if it raised none.

    Raises:
        KeyboardInterrupt: The user pressed Ctrl-C.
        Exit: A hook called `pytest.exit`.
    """
    info = pytest.CallInfo.from_call(call, when="call", reraise=STOPS)
    return None if info.excinfo is None else in_a_line(info.excinfo.value)


def in_a_line(error: BaseException) -> str:
    """Return type and message of an error in one line."""
    first = clean_text(str(error)).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
