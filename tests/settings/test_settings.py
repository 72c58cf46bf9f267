from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pytest_gump.agents.prices import Rates
from pytest_gump.agents.usage import Tokens
from pytest_gump.errors import ConfigError
from pytest_gump.settings.gump_toml import GumpToml
from pytest_gump.settings.ini_values import READERS
from pytest_gump.settings.settings import INI_OPTIONS, Settings, read_settings
from pytest_gump.system.kept_ignored import KEEP_IGNORED

if TYPE_CHECKING:
    from collections.abc import Callable


PRICE = "NAME = INPUT/OUTPUT[/CACHE_READ[/CACHE_WRITE]] in dollars"


def ini(**values: object) -> Callable[[str], object | None]:
    return values.get


def test_without_settings_the_defaults_apply() -> None:
    settings, sources = read_settings(ini())
    assert settings == Settings()
    assert set(sources.values()) == {"default"}
    assert len(sources) == len(INI_OPTIONS)


def test_the_ini_file_overrides_gump_toml_and_is_named_as_source() -> None:
    toml: dict[str, object] = {"validation": {"test_cmd": "make check", "lint_cmd": "make lint", "timeout": "2m"}}
    settings, sources = read_settings(ini(gump_test="pytest -q"), [GumpToml("gump.toml", toml)])
    assert settings.commands == {"test": "pytest -q", "lint": "make lint"}
    assert settings.gate_timeout_s == 120
    assert sources["gump_test"] == "ini"
    assert sources["gump_lint"] == "gump.toml [validation] lint_cmd"
    assert sources["gump_compile"] == "default"


def test_the_gump_table_overrides_the_older_tables() -> None:
    toml: dict[str, object] = {"gump": {"error_chars": 5000}, "error_context": {"max_error_chars": 10}}
    settings, sources = read_settings(ini(), [GumpToml("gump.toml", toml)])
    assert settings.error_chars == 5000
    assert sources["gump_error_chars"] == "gump.toml [gump] error_chars"


def test_lists_are_read_from_ini_words_ini_lines_and_toml_arrays() -> None:
    toml: dict[str, object] = {"gump": {"allow_commands": ["make docs", "ls"], "test_files": "checks/** *.t"}}
    settings, _ = read_settings(ini(gump_agent_env=["MY_KEY", "OTHER"]), [GumpToml("gump.toml", toml)])
    assert settings.agent_env == ("MY_KEY", "OTHER")
    assert settings.allow_commands == ("make docs", "ls")
    assert settings.test_files == ("checks/**", "*.t")


def test_configured_agents_are_names_with_arguments() -> None:
    lines = ["fast = claude-haiku", "near=codex:my-model env:A=b  -p 'x y'"]
    settings, _ = read_settings(ini(gump_agents=lines))
    assert settings.agents == ("fast = claude-haiku", "near = codex:my-model env:A=b  -p 'x y'")
    assert settings.agent_names == {"fast": "claude-haiku", "near": "codex:my-model env:A=b  -p 'x y'"}


def test_configured_prices_use_the_input_price_for_the_cache() -> None:
    lines = ["house-7b = 0.30/1.20", "qwen/qwen3:30b=0/0/0", "codex = 1.25 / 10 / 0.125 / 1.5"]
    settings, sources = read_settings(ini(gump_prices=lines))
    assert settings.prices == (
        "house-7b = 0.30/1.20/0.30/0.30", "qwen/qwen3:30b = 0/0/0/0", "codex = 1.25/10/0.125/1.5"
    )  # fmt: skip
    assert sources["gump_prices"] == "ini"
    assert settings.own_prices["codex"] == Rates.of_million(1.25, 10, 0.125, 1.5)
    assert settings.own_prices["house-7b"].price(Tokens(1_000_000, output=1_000_000)) == pytest.approx(1.5)


NUMBERS = st.floats(0, 999_999, allow_nan=False).map(lambda number: f"{number:.6f}".rstrip("0").rstrip("."))


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,20}", fullmatch=True),
        st.lists(NUMBERS, min_size=2, max_size=4),
        max_size=4,
    ),
    st.sampled_from(["=", " = ", "  =\t"]),
)
def test_written_prices_are_read_back_unchanged(prices: dict[str, list[str]], equals: str) -> None:
    names = [name.lower() for name in prices]
    assume(len(set(names)) == len(names))
    lines = READERS["prices"]([f"{name}{equals}{'/'.join(numbers)}" for name, numbers in prices.items()])
    assert READERS["prices"](lines) == lines
    own = Settings(prices=lines).own_prices  # type: ignore[arg-type]
    assert own.keys() == prices.keys()
    for name, numbers in prices.items():
        wanted = [float(number) / 1e6 for number in [*numbers, *[numbers[0]] * (4 - len(numbers))]]
        rates = own[name]
        assert [rates.input, rates.output, rates.cache_read, rates.cache_write] == pytest.approx(wanted)


@given(st.text(max_size=30))
def test_any_text_is_a_price_or_refused(line: str) -> None:
    try:
        lines = READERS["prices"]([line])
    except ValueError:
        return
    rates = [rate for price in Settings(prices=lines).own_prices.values() for rate in price]  # type: ignore[arg-type]
    assert all(0 <= rate <= 1 for rate in rates)
    assert line == "" or rates


def test_silence_timeout_can_be_switched_off() -> None:
    settings, _ = read_settings(ini(gump_silence_timeout="off"))
    assert settings.silence_timeout_s is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gump_gate_timeout", "soon", "gump_gate_timeout: not a duration: 'soon'; write it like 90s, 5m or 1h30m"),
        ("gump_gate_timeout", 10**400, "gump_gate_timeout: must not be longer than a year"),
        ("gump_gate_timeout", "9999999h", "gump_gate_timeout: must not be longer than a year"),
        ("gump_max_items", "0", "gump_max_items: must be a whole number above zero, not '0'"),
        ("gump_max_items", "-3", "gump_max_items: must be a whole number above zero, not '-3'"),
        ("gump_unknown_cost", "maybe", "gump_unknown_cost: must be 'refuse' or 'allow', not 'maybe'"),
        ("gump_agent_env", ["A=B"], "gump_agent_env: 'A=B' is not the name of an environment variable"),
        ("gump_agents", ["fast"], "gump_agents: 'fast' is not NAME = AGENT or NAME = AGENT ARGUMENTS"),
        (
            "gump_agents",
            ["a b = c"],
            "gump_agents: 'a b = c' is not NAME = AGENT or NAME = AGENT ARGUMENTS",
        ),
        ("gump_agents", ["a = b", "a = c"], "gump_agents: 'a' is listed twice"),
        ("gump_prices", ["fast = 1"], f"gump_prices: 'fast = 1' is not {PRICE}"),
        ("gump_prices", ["fast = 1/x"], f"gump_prices: 'fast = 1/x' is not {PRICE}"),
        ("gump_prices", ["fast = 1/-1"], f"gump_prices: 'fast = 1/-1' is not {PRICE}"),
        ("gump_prices", ["fast = 1/2/3/4/5"], f"gump_prices: 'fast = 1/2/3/4/5' is not {PRICE}"),
        ("gump_prices", ["= 1/2"], f"gump_prices: '= 1/2' is not {PRICE}"),
        ("gump_prices", ["a = 1/2", "A = 1/2"], "gump_prices: 'A' is listed twice"),
        ("gump_test_files", ["../x"], "gump_test_files: '../x' must be relative to the project, without '..'"),
        ("gump_compile", "a\0b", "gump_compile: must not contain a NUL character"),
        ("gump_error_chars", True, "gump_error_chars: must be a whole number above zero, not True"),
    ],
)
def test_an_invalid_value_is_named(name: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(ini(**{name: value}))
    assert str(caught.value) == message


def test_each_option_has_help_a_field_and_a_reader() -> None:
    known = {field.name for field in fields(Settings)}
    for option in INI_OPTIONS:
        assert option.name.startswith("gump_")
        assert option.help
        assert option.field in known
        assert option.kind in READERS
    assert len({option.name for option in INI_OPTIONS}) == len(INI_OPTIONS)


def test_documented_defaults_are_the_real_defaults() -> None:
    for option in INI_OPTIONS:
        if option.kind not in {"command", "path"} and option.default:
            assert READERS[option.kind](option.default) == getattr(Settings(), option.field), option.name


def test_worktrees_and_settings_have_the_same_default_of_keep_ignored() -> None:
    assert Settings().keep_ignored == KEEP_IGNORED


def test_reading_settings_imports_no_heavy_module() -> None:
    code = "import sys, pytest_gump.settings.settings; print(sorted({'pydantic', 'yaml', 'git', 'xdist'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
