"""The table of ini options. Every pytest run imports it: it must stay light."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from pytest_gump.system.kept_ignored import KEEP_IGNORED


class IniOption(NamedTuple):
    """One `gump_*` ini option."""

    name: str
    kind: str
    """How its text is read: a key of `ini_values.READERS`."""
    default: str
    """As a person would write it; for help texts and docs."""
    help: str

    @property
    def type(self) -> Literal["string", "args", "linelist"]:
        """What `parser.addini(type=...)` takes."""
        if self.kind in {"lines", "agents", "prices"}:
            return "linelist"
        return "args" if self.kind in {"patterns", "names", "slots"} else "string"

    @property
    def toml_key(self) -> str:
        """Key in the `[gump]` table of `gump.toml`."""
        return self.name.removeprefix("gump_")

    @property
    def field(self) -> str:
        """Of `Settings`; those in seconds end in `_s`."""
        return f"{self.toml_key}_s" if self.kind.startswith("duration") else self.toml_key


INI_OPTIONS: Final = (
    IniOption("gump_compile", "command", "detected", "Command of the compile gate"),
    IniOption("gump_test", "command", "detected", "Command of the test gate"),
    IniOption("gump_lint", "command", "detected", "Command of the lint gate"),
    IniOption("gump_coverage", "command", "detected", "Command that the coverage gate runs and reads the total from"),
    IniOption("gump_gate_timeout", "duration", "10m", "Longest time for one gate (90s, 5m, 1h30m)"),
    IniOption(
        "gump_setup",
        "lines",
        "",
        "Shell commands, one a line, that prepare each new worktree; they run before those of the workflow's setup",
    ),
    IniOption("gump_setup_timeout", "duration", "30m", "Longest time for one command of a setup"),
    IniOption("gump_context_timeout", "duration", "30s", "Longest time for one bash: context"),
    IniOption("gump_error_chars", "count", "2000", "Characters of gate output in the prompt of a retry"),
    IniOption("gump_diff_chars", "count", "3000", "Characters of the diff so far in the prompt of a retry"),
    IniOption("gump_max_items", "count", "100", "Most items that a plan may have"),
    IniOption("gump_handover_bytes", "count", "1048576", "Largest plan, artifact or review file"),
    IniOption("gump_context_bytes", "count", "400000", "Largest file: or bash: context"),
    IniOption("gump_test_files", "patterns", "", "More patterns that @tests stands for"),
    IniOption(
        "gump_keep_ignored",
        "patterns",
        " ".join(KEEP_IGNORED),
        "Ignored files and folders that are kept for the next attempt; gates do not see them, unless setup left them",
    ),
    IniOption(
        "gump_copy",
        "patterns",
        "",
        "Files that git ignores and a build needs: copied into every worktree, like those that .worktreeinclude names",
    ),
    IniOption("gump_agents", "agents", "", "Agents of your own, one a line: NAME = AGENT and further words"),
    IniOption(
        "gump_prices",
        "prices",
        "",
        "Prices of your own in USD for a million tokens, one a line: NAME = INPUT/OUTPUT[/CACHE_READ[/CACHE_WRITE]]",
    ),
    IniOption("gump_agent_env", "names", "", "Environment variables that agents get on top of the usual"),
    IniOption("gump_gate_env", "names", "", "Environment variables that gates get on top of the usual"),
    IniOption(
        "gump_allow_commands", "lines", "", "Shell commands, one a line, that agents may run besides the gate commands"
    ),
    IniOption(
        "gump_silence_timeout", "duration_or_off", "10m", "Stop an agent that prints nothing for so long, or off"
    ),
    IniOption(
        "gump_stream_bytes",
        "count",
        "256000000",
        "Most bytes that an agent, a gate or a setup command may print before it is stopped",
    ),
    IniOption("gump_stream_lines", "count", "250000", "Most lines of an agent's stream before it is stopped"),
    IniOption("gump_worktrees", "path", "the user's cache", "Folder for the worktrees of runs"),
    IniOption("gump_record", "path", "", "Record every run as a cassette DIR/<run-id>"),
    IniOption(
        "gump_unknown_cost",
        "refuse_or_allow",
        "refuse",
        "What to do under a max_budget with agents whose cost is unknown: refuse or allow",
    ),
    IniOption(
        "gump_on_quota",
        "word",
        "stop",
        "What to do at the limit of an agent's account: stop, wait, or the name of an agent that takes over",
    ),
    IniOption("gump_quota_wait", "duration", "6h", "Longest time that a run waits for limits, all in all"),
    IniOption("gump_quota_margin", "duration", "30s", "Time to wait beyond the stated end of a limit"),
    IniOption(
        "gump_workers",
        "count",
        "4",
        "Most steps that run at once on workers of pytest-xdist; every worker carries out at least one",
    ),
    IniOption("gump_slots", "slots", "", "Most attempts at once by CLI: claude=3 codex=2"),
)
