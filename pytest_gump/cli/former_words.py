"""Errors for commands and options of the original Gump, with the current form as a hint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORMER: Final[dict[tuple[str, ...], str]] = {
    ("run", "--from-step"): "gump run --from STEP[@RUN] starts a new run at a step of an earlier run",
    ("run", "--run"): "gump run --resume RUN resumes it; gump run --from STEP@RUN starts a new run at one of its steps",
    (
        "run",
        "--cook",
    ): "gump run --resume RUN resumes it; gump run --from STEP@RUN starts a new run at one of its steps",
    ("run", "--recipe"): "gump run SPEC --workflow NAME",
    (
        "run",
        "--agent-stub",
    ): "gump run SPEC --workflow NAME --replay DIR replays a cassette; --dry-run starts no agent",
    ("report", "--detail"): "gump log [RUN] STEP shows the attempts of a step",
    ("apply", "--run"): "gump apply RUN",
    ("apply", "--cook"): "gump apply RUN",
    ("status", "--run"): "gump report RUN shows one run; gump status lists all",
    (
        "gc",
        "--keep-last=0",
    ): "gump gc --keep-last 1 keeps only the newest run; gump discard RUN removes its branch",
    (
        "config",
        "set",
    ): "edit gump.toml or pytest's configuration: gump config lists the settings; no data is sent",
    ("version",): "gump --version",
    ("--log-level",): "gump run ... -v shows more; gump log [RUN] STEP shows the attempts of a step",
    ("cook",): "gump run SPEC --workflow NAME",
    ("replay",): "gump run --from STEP[@RUN] starts a new run at a step of an earlier run",
    ("resume",): "gump run --resume [RUN]",
    ("init",): "no setup is needed: gump run SPEC --workflow NAME",
}
"""Current form by command and option, or by command."""


def refuse_former(arguments: Sequence[str]) -> None:
    """Refuse commands and options of the original Gump.

    Raises:
        ConfigError: The command line contains one. The hint names the current form.
    """
    command, rest = arguments[0] if arguments else "", [*arguments[1:]]
    end = rest.index("--") if "--" in rest else len(rest)
    given: set[tuple[str, ...]] = {(command,)} if arguments else set()
    for number, word in enumerate(rest[:end]):
        following = rest[number + 1] if number + 1 < end else ""
        given |= {(command, word), (command, word.partition("=")[0]), (command, f"{word}={following}")}
    for former, current in _FORMER.items():
        if former in given and not (command == "config" and rest[0] != "set"):
            raise ConfigError(f"gump {' '.join(former)} belongs to the original Gump".replace("=", " "), hint=current)
