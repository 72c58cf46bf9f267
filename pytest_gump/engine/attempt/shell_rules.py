"""The rules of a prompt on shell commands, generated from the permissions for the CLI in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.gates.tools.detect import BYTECOMPILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_gump.agents.shell.permissions import Permissions, Shell

_NO_SHELL: Final = "You cannot run commands in this step. Read files with your other tools."
_EVERYTHING: Final = "Every shell command may run, in a sandbox."
_ALLOWED: Final = "In the shell, you may run these commands:"


def shell_rules(
    permissions: Permissions, shell: Shell | None, gates: Iterable[tuple[str, str]] = ()
) -> tuple[str, ...]:
    """Return the rules as items of a list.

    Args:
        permissions: What the agent may do.
        shell: What its CLI makes of it; None if that is unknown.
        gates: Label and shell text of the gate commands.
    """
    if not permissions.writes:
        return () if shell is None else (shell.sandbox_read_only or _NO_SHELL,)
    sandbox = shell.sandbox if shell else ""
    if sandbox or permissions.everything:
        return (sandbox or _EVERYTHING,)
    allowed = "\n".join((_ALLOWED, *(f"  - {entry}" for entry in _allowed(permissions, shell, dict(gates)))))
    return (allowed, " ".join(_forms(shell)))


def _allowed(permissions: Permissions, shell: Shell | None, gates: dict[str, str]) -> Iterator[str]:
    tools = [name for name in permissions.tools if not name.startswith(("/", "'"))]
    if tools:
        yield f"with any arguments: {_listed(tools)}"
    labels = {command.strip(): label for label, command in gates.items()}
    refused = (str(BYTECOMPILE), *(shell.no_rule_with if shell else ()))
    for command in permissions.exact:
        if not any(text in command for text in refused) and not _is_covered(command, permissions.tools):
            label = labels.get(command, "")
            shown = f" ({label})" if label and not label.startswith("bash") else ""
            yield f"exactly as it is written here: {code(command)}{shown}"
    plain = f"; without arguments of your own: {_listed(permissions.reading_exact)}"
    others = ", and others that only read" if shell and shell.reads_more else plain
    yield f"to read: {_listed(permissions.reading)}{others}"
    yield f"with paths inside the current directory: {_listed(permissions.files)}"


def _forms(shell: Shell | None) -> Iterator[str]:
    if shell is None:
        yield "Other commands may be refused."
        return
    cd = "" if "`cd`" in shell.refuses else ", and begin with `cd FOLDER &&`"
    yield f"You may join such commands with `&&`, `;` and `|`{cd}."
    if shell.refuses:
        yield f"Refused even then: {shell.refuses}."
    answer = f' with "{shell.answer}"' if shell.answer else ""
    yield f"Every other command is refused{answer}. Do not try a refused command again in another form."


def _is_covered(command: str, tools: Iterable[str]) -> bool:
    """True if the command is a tool with arguments, and nothing more."""
    single = not any(sign in command for sign in ("&&", ";", "|", ">", "\n"))
    return single and any(f"{command} ".startswith(f"{tool} ") for tool in tools)


def _listed(commands: Iterable[str]) -> str:
    return ", ".join(map(code, commands))


def code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"
