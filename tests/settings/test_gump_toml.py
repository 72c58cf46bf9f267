"""`gump.toml` and the file of the user: precedence, positions of errors, and keys without effect."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.errors import ConfigError
from pytest_gump.settings.gump_toml import MAX_BYTES, SETTINGS, WITHOUT_EFFECT, GumpToml, gump_tomls
from pytest_gump.settings.settings import read_settings

if TYPE_CHECKING:
    from pathlib import Path


def no_ini(_option: str) -> None:
    """Return None: there is no ini file."""


def read(text: str, name: str = "gump.toml") -> GumpToml:
    return GumpToml(name, tomllib.loads(text), text)


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_settings(no_ini, [read(text)])
    return str(caught.value)


def test_the_gump_table_overrides_older_tables_and_is_named_as_source() -> None:
    settings, sources = read_settings(
        no_ini, [read("[gump]\nerror_chars = 5000\n[error_context]\nmax_error_chars = 10\nmax_diff_chars = 20\n")]
    )
    assert (settings.error_chars, settings.diff_chars) == (5000, 20)
    assert sources["gump_error_chars"] == "gump.toml [gump] error_chars"
    assert sources["gump_diff_chars"] == "gump.toml [error_context] max_diff_chars"


def test_the_project_overrides_the_user() -> None:
    user = read("[gump]\nerror_chars = 1\ndiff_chars = 2\n", "~/.gump/config.toml")
    settings, sources = read_settings(no_ini, [user, read("[gump]\nerror_chars = 3\n")])
    assert (settings.error_chars, settings.diff_chars) == (3, 2)
    assert sources["gump_diff_chars"] == "~/.gump/config.toml [gump] diff_chars"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "# commands\n\n[validaton]\ntest_cmd = 'make'\n",
            "gump.toml:3:1: unknown table 'validaton'\n  hint: did you mean 'validation'?",
        ),
        (
            "[validation]\n  tset_cmd = 'x'\n",
            "gump.toml:2:3: [validation] unknown key 'tset_cmd'\n  hint: did you mean 'test_cmd'?",
        ),
        ("defaultagent = 'x'\n", "gump.toml:1:1: unknown key 'defaultagent'\n  hint: did you mean 'default_agent'?"),
        ("gump = 3\n", "gump.toml:1:1: 'gump' must be a table\n  hint: write [gump] on its own line"),
        ("[[gump]]\n", "gump.toml:1:1: 'gump' must be a table\n  hint: write [gump] on its own line"),
        (
            "[analytics]\nenabeld = false\n",
            "gump.toml:2:1: [analytics] unknown key 'enabeld'\n  hint: did you mean 'enabled'?",
        ),
        (
            "[display]\n[validation]\ntimeout = 'x'\n",
            "gump.toml:3:1: [validation] timeout: not a duration: 'x'; write it like 90s, 5m or 1h30m",
        ),
        ("validation.timeout = 1979-05-27\n", "gump.toml: [validation] timeout: must be a non-empty string, not "),
        ("[gump]\nagent_env = [['A']]\n", "gump.toml:2:1: [gump] agent_env: must be a non-empty string, not ['A']"),
    ],
)
def test_an_error_names_its_position(text: str, message: str) -> None:
    assert refusal(text).startswith(message)


def test_an_error_message_is_short_for_any_value() -> None:
    assert len(refusal(f"[gump]\nmax_items = {['x' * 10_000]!r}\n")) < 400


def test_original_keys_without_effect_are_named_if_they_are_on() -> None:
    text = 'default_agent = "claude"\nlog_level = "debug"\n[display]\nverbose = true\n[analytics]\nenabled = false\n'
    toml = read(text)
    assert list(toml.notes()) == [
        (
            "gump.toml:1:1: 'default_agent' has no effect\n"
            "  hint: name the agent in the workflow, or start with --gump-agent"
        ),
        "gump.toml:2:1: 'log_level' has no effect\n  hint: use -v and -q of pytest",
        "gump.toml:4:1: 'verbose' has no effect\n  hint: use -v of pytest",
    ]
    assert set(read_settings(no_ini, [toml])[1].values()) == {"default"}


# -- files -----------------------------------------------------------------------------------------------------------


def test_the_nearest_file_below_the_project_root_counts(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "a" / "b").mkdir(parents=True)
    for folder in (tmp_path, project, project / "a"):
        (folder / "gump.toml").write_text("[gump]\n")
    assert [toml.name for toml in gump_tomls(project, project / "a" / "b", None)] == ["a/gump.toml"]
    assert [toml.name for toml in gump_tomls(project, project, None)] == ["gump.toml"]
    assert [toml.name for toml in gump_tomls(project, tmp_path, None)] == ["gump.toml"]
    (project / "gump.toml").unlink()
    assert gump_tomls(project, project, None) == ()


def test_the_file_of_the_user_is_read_first(tmp_path: Path) -> None:
    project, home = tmp_path / "project", tmp_path / "home"
    (home / ".gump").mkdir(parents=True)
    project.mkdir()
    (home / ".gump" / "config.toml").write_text("[validation]\ntest_cmd = 'make'\n")
    assert [toml.name for toml in gump_tomls(project, project, home)] == ["~/.gump/config.toml"]
    (project / "gump.toml").write_text("")
    assert [toml.name for toml in gump_tomls(project, project, home)] == ["~/.gump/config.toml", "gump.toml"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[validation\n", "gump.toml:1:12: "),
        (b"[gump]\n[gump]\n", "gump.toml:2:6: Cannot declare"),
        (b"[gump]\nmax_items = 1\nmax_items = 2\n", "gump.toml:"),
        (b"# \xff\n", "gump.toml: is not UTF-8 text (byte 2)"),
        (b"#" * (MAX_BYTES + 1), f"gump.toml: has {MAX_BYTES + 1} bytes; the limit is {MAX_BYTES}"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "gump.toml: nested too deeply"),
        (b"a = " + b"9" * 5000, "gump.toml: Exceeds the limit (4300 digits)"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "gump.toml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        gump_tomls(tmp_path, tmp_path, None)
    assert str(caught.value).startswith(message)


def test_special_files_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gump.toml")
    with pytest.raises(ConfigError, match=r"^gump.toml: is not a regular file$"):
        gump_tomls(tmp_path, tmp_path, None)
    (tmp_path / "gump.toml").unlink()
    (tmp_path / "gump.toml").symlink_to("gump.toml")
    with pytest.raises(ConfigError, match=r"^gump.toml: cannot be read: "):
        gump_tomls(tmp_path, tmp_path, None)


def test_a_byte_order_mark_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "gump.toml").write_bytes(b"\xef\xbb\xbf[gump]\nmax_items = 3\n")
    assert read_settings(no_ini, gump_tomls(tmp_path, tmp_path, None))[0].max_items == 3


VALUES = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.dates()
    | st.sampled_from(["5m", "a=1", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
NAMES = sorted({name for place in (*SETTINGS, *WITHOUT_EFFECT) for name in place if name})


@given(
    st.dictionaries(
        st.sampled_from(NAMES) | st.text(max_size=5),
        VALUES | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), VALUES, max_size=3),
        max_size=3,
    )
)
def test_any_content_is_read_or_refused_with_a_short_message(data: dict[str, object]) -> None:
    toml = GumpToml("gump.toml", data)
    message, sources = _read_or_refuse(toml)
    assert message == "" or message.startswith("gump.toml")
    assert len(message) < 500
    assert all(source == "default" or source.startswith("gump.toml [") for source in sources.values())
    assert all(note.startswith("gump.toml") for note in toml.notes())


def _read_or_refuse(toml: GumpToml) -> tuple[str, dict[str, str]]:
    try:
        return "", read_settings(no_ini, [toml])[1]
    except ConfigError as error:
        return str(error.args[0]), {}
