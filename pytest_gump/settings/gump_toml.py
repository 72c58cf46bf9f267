"""Reads `gump.toml` of the project and `~/.gump/config.toml`: settings with their locations, and ignored keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.errors import ConfigError, suggest
from pytest_gump.settings.ini_options import INI_OPTIONS
from pytest_gump.system.files import read_user_text
from pytest_gump.text import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

TOML_NAME: Final = "gump.toml"
USER_TOML: Final = ".gump/config.toml"
MAX_BYTES: Final = 1_000_000

SETTINGS: Final = {
    ("validation", "compile_cmd"): "gump_compile",
    ("validation", "test_cmd"): "gump_test",
    ("validation", "lint_cmd"): "gump_lint",
    ("validation", "coverage_cmd"): "gump_coverage",
    ("validation", "timeout"): "gump_gate_timeout",
    ("error_context", "max_error_chars"): "gump_error_chars",
    ("error_context", "max_diff_chars"): "gump_diff_chars",
    **{("gump", option.toml_key): option.name for option in INI_OPTIONS},
}
"""The ini option of each key, by table and key; `[gump]` takes precedence over the tables of the original Gump."""

WITHOUT_EFFECT: Final = {
    ("", "default_agent"): "name the agent in the workflow, or start with --gump-agent",
    ("", "log_level"): "use -v and -q of pytest",
    ("display", "verbose"): "use -v of pytest",
    ("analytics", "enabled"): "pytest-gump sends no analytics",
    ("update", "check"): "pytest-gump has no update check",
}
"""Keys of the original Gump that have no effect here, by table and key, each with a hint."""

_SYNTAX_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")


class TomlSetting(NamedTuple):
    option: str
    """Name of the ini option."""
    raw: object
    source: str
    """File, table and key, for `gump config`."""
    location: str
    """File, line, column, table and key, for errors."""


class GumpToml(NamedTuple):
    """The content of one file."""

    name: str
    """Name in messages: `gump.toml`, `sub/gump.toml`, `~/.gump/config.toml`."""
    data: Mapping[str, object]
    text: str = ""

    def settings(self) -> Iterator[TomlSetting]:
        """Yield all settings, those of the original Gump's tables first.

        Raises:
            ConfigError: The file contains an unknown table or key.
        """
        self._check()
        for (table, key), option in SETTINGS.items():
            content = self.data.get(table)
            if isinstance(content, dict) and key in content:
                source = f"{self.name} [{table}] {key}"
                yield TomlSetting(option, content[key], source, f"{self.location(table, key)}: [{table}] {key}")

    def notes(self) -> Iterator[str]:
        """Yield a note for each key of the original Gump that has no effect here, unless its value is `false`."""
        for (table, key), hint in WITHOUT_EFFECT.items():
            content = self.data.get(table) if table else self.data
            if isinstance(content, dict) and content.get(key, False) is not False:
                yield f"{self.location(table, key)}: {key!r} has no effect\n  hint: {hint}"

    def location(self, table: str, key: str = "") -> str:
        """Return a location like `gump.toml:3:1`. If the line is not found (inline table), return only the name."""
        current = ""
        for number, line in enumerate(self.text.splitlines(), start=1):
            header = re.match(r"\s*\[\[?\s*[\"']?([^\[\]\"']+?)[\"']?\s*\]", line)
            if header is not None:
                current = header[1]
            is_found = current == table and (header is not None if not key else _sets(line, key))
            if is_found or (not current and not key and _sets(line, table)):
                return f"{self.name}:{number}:{len(line) - len(line.lstrip()) + 1}"
        return self.name

    def _check(self) -> None:
        tables = dict.fromkeys(table for table, _ in (*SETTINGS, *WITHOUT_EFFECT) if table)
        known = {key: [name for table, name in (*SETTINGS, *WITHOUT_EFFECT) if table == key] for key in ("", *tables)}
        for name, content in self.data.items():
            if name in known[""]:
                continue
            if name not in tables:
                what = "table" if isinstance(content, dict | list) else "key"
                location = self.location(name) if what == "table" else self.location("", name)
                raise ConfigError(f"{location}: unknown {what} {quoted(name)}", hint=_hint(name, [*tables, *known[""]]))
            if not isinstance(content, dict):
                hint = f"write [{name}] on its own line"
                raise ConfigError(f"{self.location(name)}: {name!r} must be a table", hint=hint)
            for key in content:
                if key not in known[name]:
                    location = f"{self.location(name, key)}: [{name}]"
                    raise ConfigError(f"{location} unknown key {quoted(key)}", hint=_hint(key, known[name]))


def gump_tomls(project: Path, start: Path, home: Path | None) -> tuple[GumpToml, ...]:
    """Read the user's file, then the nearest `gump.toml` between `start` and the project's root.

    Later files take precedence.

    Raises:
        ConfigError: A file is not valid TOML, or cannot be read.
    """
    project, start = project.resolve(), start.resolve()
    folders = [start, *start.parents]
    folders = folders[: folders.index(project) + 1] if project in folders else [project]
    found = []
    if home is not None and (user := _read(home / USER_TOML, f"~/{USER_TOML}")) is not None:
        found.append(user)
    for folder in folders:
        path = folder / TOML_NAME
        if (own := _read(path, str(path.relative_to(project)))) is not None:
            return (*found, own)
    return tuple(found)


def _read(path: Path, name: str) -> GumpToml | None:
    import tomllib

    try:
        text = read_user_text(path, MAX_BYTES, f"{name}:")
        return GumpToml(name, tomllib.loads(text), text)
    except ConfigError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            return None
        raise
    except ValueError as error:  # includes TOMLDecodeError; an integer of over 4,300 digits raises only ValueError
        raise ConfigError(_syntax(name, str(error))) from error
    except RecursionError as error:
        raise ConfigError(f"{name}: nested too deeply") from error


def _syntax(name: str, message: str) -> str:
    found = _SYNTAX_PLACE.search(message)
    return f"{name}: {message}" if found is None else f"{name}:{found[1]}:{found[2]}: {message[: found.start()]}"


def _sets(line: str, key: str) -> bool:
    return re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line) is not None


def _hint(word: str, known: list[str]) -> str:
    return suggest(word, known, f"known: {', '.join(sorted(set(known)))}")
