"""The table of ini options. Every pytest session imports this module, so it must stay small."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from pytest_gump.system.kept_ignored import KEEP_IGNORED


class IniOption(NamedTuple):
    """One `gump_*` ini option."""

    name: str
    kind: str
    """How the value is parsed: a key of `ini_values.READERS`."""
    default: str
    """The default as a user would write it, for help texts and docs."""
    help: str

    @property
    def type(self) -> Literal["string", "args", "linelist"]:
        """The `type` argument of `parser.addini`."""
        if self.kind in {"lines", "agents", "prices"}:
            return "linelist"
        return "args" if self.kind in {"patterns", "names", "slots"} else "string"

    @property
    def toml_key(self) -> str:
        """Key in the `[gump]` table of `gump.toml`."""
        return self.name.removeprefix("gump_")

    @property
    def field(self) -> str:
        """Name of the field of `Settings`. Fields in seconds end in `_s`."""
        return f"{self.toml_key}_s" if self.kind.startswith("duration") else self.toml_key


INI_OPTIONS: Final = (
    IniOption("gump_compile", "command", "detected", "Command of the compile gate"),
    IniOption("gump_test", "command", "detected", "Command of the test gate"),
    IniOption("gump_lint", "command", "detected", "Command of the lint gate"),
    IniOption("gump_coverage", "command", "detected", "Command whose output the coverage gate reads"),
    IniOption("gump_gate_timeout", "duration", "10m", "Longest time for one gate (90s, 5m, 1h30m)"),
    IniOption(
        "gump_setup",
        "lines",
        "",
        "Shell commands, one per line, that prepare each new worktree; they run before the workflow's setup",
    ),
    IniOption("gump_setup_timeout", "duration", "30m", "Longest time for one command of a setup"),
    IniOption("gump_context_timeout", "duration", "30s", "Longest time for one bash: context"),
    IniOption("gump_error_chars", "count", "2000", "Characters of gate output in the prompt of a retry"),
    IniOption("gump_diff_chars", "count", "3000", "Characters of the diff so far in the prompt of a retry"),
    IniOption("gump_max_items", "count", "100", "Largest number of items in a plan"),
    IniOption("gump_handover_bytes", "count", "1048576", "Largest plan, artifact or review file"),
    IniOption("gump_context_bytes", "count", "400000", "Largest file: or bash: context"),
    IniOption("gump_test_files", "patterns", "", "Additional patterns for @tests"),
    IniOption(
        "gump_keep_ignored",
        "patterns",
        " ".join(KEEP_IGNORED),
        "Ignored files and folders to keep for the next attempt; gates do not see them, unless setup created them",
    ),
    IniOption(
        "gump_copy",
        "patterns",
        "",
        "Patterns of ignored files that a build needs: copied into every worktree, like those of .worktreeinclude",
    ),
    IniOption("gump_agents", "agents", "", "Your own agent names, one per line: NAME = AGENT, then further arguments"),
    IniOption(
        "gump_prices",
        "prices",
        "",
        "Your own prices in USD per million tokens, one per line: NAME = INPUT/OUTPUT[/CACHE_READ[/CACHE_WRITE]]",
    ),
    IniOption("gump_agent_env", "names", "", "Additional environment variables for agents"),
    IniOption("gump_gate_env", "names", "", "Additional environment variables for gates"),
    IniOption(
        "gump_allow_commands",
        "lines",
        "",
        "Shell commands, one per line, that agents may run in addition to the gate commands",
    ),
    IniOption(
        "gump_silence_timeout",
        "duration_or_off",
        "10m",
        "Time without output after which an agent is stopped; off: never",
    ),
    IniOption(
        "gump_stream_bytes",
        "count",
        "256000000",
        "Bytes of output after which an agent, a gate or a setup command is stopped",
    ),
    IniOption("gump_stream_lines", "count", "250000", "Lines of output after which an agent is stopped"),
    IniOption("gump_worktrees", "path", "the user's cache", "Folder for the worktrees of runs"),
    IniOption("gump_record", "path", "", "Folder in which every run is recorded, as the cassette DIR/<run-id>"),
    IniOption(
        "gump_unknown_cost",
        "refuse_or_allow",
        "refuse",
        "Agents whose cost cannot be known, if a max_budget limits it: refuse or allow",
    ),
    IniOption(
        "gump_on_quota",
        "word",
        "stop",
        "What to do when the account of an agent is at its limit: stop, wait, or the name of another agent",
    ),
    IniOption("gump_quota_wait", "duration", "6h", "Longest total time that a run waits for limits"),
    IniOption("gump_quota_margin", "duration", "30s", "Additional time to wait after the stated end of a limit"),
    IniOption(
        "gump_workers",
        "count",
        "4",
        "Largest number of steps that run at the same time on workers of pytest-xdist; every worker runs at least one",
    ),
    IniOption("gump_slots", "slots", "", "Largest number of attempts at the same time for each CLI: claude=3 codex=2"),
)
