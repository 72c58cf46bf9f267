from __future__ import annotations

import pytest
from pytest_gump.agents import registry
from pytest_gump.agents.base import Agent
from pytest_gump.agents.clis.claude import ClaudeAgent
from pytest_gump.agents.clis.codex import CodexAgent
from pytest_gump.agents.clis.gemini import GeminiAgent
from pytest_gump.agents.family import family_of
from pytest_gump.errors import AgentError

from tests.agents.stream_kit import TASK


class HookAgent(ClaudeAgent):
    """An agent created by the hook of a project."""


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("claude", None),
        ("claude-opus", "opus"),
        ("claude-sonnet", "sonnet"),
        ("claude-haiku", "haiku"),
        ("claude-opusplan", "opusplan"),
        ("claude-opus-4-6", "claude-opus-4-6"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-latest"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5-20250929"),
        ("claude-sonnet-4-5[1m]", "claude-sonnet-4-5[1m]"),
    ],
)
def test_claude_names_select_a_model(name: str, model: str | None) -> None:
    assert registry.resolve(name) == ClaudeAgent(name, model=model)


@pytest.mark.parametrize(
    ("name", "agent"),
    [
        ("codex", CodexAgent("codex")),
        ("codex-gpt54", CodexAgent("codex-gpt54", "gpt-5.4")),
        ("codex-gpt53-spark", CodexAgent("codex-gpt53-spark", "gpt-5.3-codex-spark")),
        ("codex-gpt-5.6-sol", CodexAgent("codex-gpt-5.6-sol", "gpt-5.6-sol")),
        ("gemini", GeminiAgent("gemini")),
        ("gemini-flash", GeminiAgent("gemini-flash", "gemini-3-flash-preview")),
        ("gemini-25-pro", GeminiAgent("gemini-25-pro", "gemini-2.5-pro")),
        ("gemini-3.8-flash", GeminiAgent("gemini-3.8-flash", "gemini-3.8-flash")),
        ("claude:my-own", ClaudeAgent("claude:my-own", "my-own")),
        ("codex:vendor/model", CodexAgent("codex:vendor/model", "vendor/model")),
    ],
)
def test_names_of_each_cli_select_its_agent_and_model(name: str, agent: Agent) -> None:
    assert registry.resolve(name) == agent


@pytest.mark.parametrize("name", registry.known())
def test_every_listed_name_can_be_resolved(name: str) -> None:
    agent = registry.resolve(name)
    assert agent.name == name
    assert agent.cli == family_of(name)


@pytest.mark.parametrize(("name", "near"), [("claude-opsu", "claude-opus"), ("gemini-flsh", "gemini-flash")])
def test_a_typo_is_not_a_model_id(name: str, near: str) -> None:
    with pytest.raises(AgentError) as caught:
        registry.resolve(name)
    start = f"unknown agent {name!r}\n  hint: did you mean {near!r}? known agents: claude, codex, gemini"
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith("; write CLI-MODEL to choose a model")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "gpt",
        "--model",
        "claude:",
        "claude:-x",
        "other:model",
        "codex-gpt 5",
        "claude-opus-4-6 --x",
        "claude-4;ls",
        "claude-４",
        "Claude",
    ],
)
def test_other_names_are_unknown(name: str) -> None:
    with pytest.raises(AgentError, match=r"^unknown agent"):
        registry.resolve(name)


def test_an_agent_of_a_hook_is_returned_unchanged() -> None:
    agent = HookAgent("mine")
    assert registry.resolve("mine", {"mine": agent}) is agent
    assert isinstance(agent, Agent)


def test_an_alias_keeps_its_own_name() -> None:
    assert registry.resolve("cheap", {"cheap": "claude-haiku"}) == ClaudeAgent("cheap", model="haiku")


def test_an_alias_can_add_arguments() -> None:
    extra = {"trusted": "big --allowedTools 'Bash(make *)'", "big": "claude-opus --effort high"}
    agent = registry.resolve("trusted", extra)
    assert agent == ClaudeAgent(
        "trusted", model="opus", arguments=("--effort", "high", "--allowedTools", "Bash(make *)")
    )


def test_arguments_can_be_added_to_a_built_in_name() -> None:
    agent = registry.resolve("claude-opus", {"claude-opus": "claude-opus --effort high"})
    assert agent == ClaudeAgent("claude-opus", model="opus", arguments=("--effort", "high"))


def test_circular_aliases_are_refused() -> None:
    with pytest.raises(AgentError, match="agent 'a' refers to itself: a -> b -> a"):
        registry.resolve("a", {"a": "b", "b": "a"})


@pytest.mark.parametrize("text", ["", "claude 'open"])
def test_an_alias_with_invalid_syntax_is_refused(text: str) -> None:
    with pytest.raises(AgentError, match="agent 'a': cannot read"):
        registry.resolve("a", {"a": text})


def test_arguments_cannot_be_added_to_an_agent_of_a_hook() -> None:
    with pytest.raises(AgentError, match="'mine' comes from a hook and takes no arguments"):
        registry.resolve("a", {"a": "mine --fast", "mine": HookAgent("mine")})


def test_the_family_is_the_first_part_of_the_name() -> None:
    assert family_of("codex-gpt54") == "codex"
    assert family_of("claude") == "claude"
    assert family_of("mine") is None


def test_only_agents_of_one_family_share_sessions() -> None:
    extra = {"cheap": "claude-haiku"}
    assert registry.same_cli("claude-opus", "claude-haiku")
    assert registry.same_cli("claude-opus", "cheap", extra)
    assert registry.same_cli("codex", "codex-gpt54")
    assert not registry.same_cli("claude", "codex")
    assert not registry.same_cli("who", "who")


def test_variables_of_an_alias_are_not_arguments() -> None:
    extra = {"near": "codex-gpt54 env:CODEX_HOME=/x env:MY_KEY -p fast", "nearer": "near env:CODEX_HOME=/y"}
    near = registry.resolve("near", extra).command(TASK)
    plain = CodexAgent("near", "gpt-5.4", ("-p", "fast")).command(TASK)
    assert near.argv == plain.argv
    assert near.env == {**plain.env, "CODEX_HOME": "/x"}
    assert near.env_names == (*plain.env_names, "MY_KEY")
    assert registry.resolve("nearer", extra).command(TASK).env["CODEX_HOME"] == "/y"


def test_an_agent_with_variables_is_otherwise_unchanged() -> None:
    agent: Agent = registry.resolve("near", {"near": "claude-opus env:A=b"})
    assert (agent.name, agent.cli, agent.cost) == ("near", "claude", "reported")
    assert agent.missing() == ClaudeAgent("near").missing()
    assert agent.reader(TASK).finish(exit_code=0, stderr="", stopped=False).outcome == "agent_error"


@pytest.mark.parametrize("word", ["env:", "env:=x", "env:A-B=1", "env:1A"])
def test_a_variable_of_an_alias_needs_a_name(word: str) -> None:
    with pytest.raises(AgentError, match=r"is not an environment variable\n  hint: write env:NAME=VALUE or env:NAME$"):
        registry.resolve("a", {"a": f"claude {word}"})


def test_a_problem_is_returned_as_text() -> None:
    assert registry.problem("claude-opus") is None
    assert str(registry.problem("nobody")).startswith(
        "unknown agent 'nobody'\n  hint: known agents: claude, codex, gemini"
    )


def test_a_cassette_plays_names_of_every_family() -> None:
    assert registry.problem("codex-gpt54", replayed=True) is None
    assert registry.problem("nobody", replayed=True) is not None


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("claude-opus", "Claude"), ("claude:my-deployment", "Claude"), ("claude", "Claude"), ("codex", "GPT"),
        ("codex-gpt55", "GPT"), ("opencode-opus", "Claude"), ("opencode-gemini", "Gemini"), ("opencode", None),
        ("copilot-gpt55", "GPT"), ("copilot-sonnet", "Claude"), ("cursor", None), ("qwen-plus", "Qwen"),
        ("strong", "Claude"), ("nobody", None),
    ],
)  # fmt: skip
def test_models_of_an_agent_belong_to_a_family(name: str, family: str | None) -> None:
    assert registry.models_of(name, {"strong": "claude-opus --verbose"}) == family
