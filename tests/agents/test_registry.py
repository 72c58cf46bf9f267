from __future__ import annotations

import pytest
from pytest_gump.agents import registry
from pytest_gump.agents.base import Agent
from pytest_gump.agents.claude import ClaudeAgent
from pytest_gump.errors import AgentError


class HookAgent(ClaudeAgent):
    """Stands for an agent that a project's hook made."""


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
def test_claude_names_give_a_model(name: str, model: str | None) -> None:
    assert registry.resolve(name) == ClaudeAgent(name, model=model)


@pytest.mark.parametrize("name", ["codex", "codex-gpt54", "gemini", "qwen-coder", "opencode", "cursor"])
def test_a_family_without_an_adapter_is_refused_by_name(name: str) -> None:
    with pytest.raises(AgentError, match=f"^agent '{name}' is not supported yet\n  hint: supported are claude, "):
        registry.resolve(name)


def test_a_slip_of_the_pen_is_no_model_id() -> None:
    with pytest.raises(AgentError) as caught:
        registry.resolve("claude-opsu")
    assert str(caught.value) == (
        "unknown agent 'claude-opsu'\n  hint: did you mean 'claude-opus'? known are claude, claude-opus, claude-sonnet,"
        " claude-haiku, claude-opusplan and claude-<model id>"
    )


@pytest.mark.parametrize("name", ["", "gpt", "--model", "claude-opus-4-6 --x", "claude-4;ls", "claude-４", "Claude"])
def test_anything_else_is_unknown(name: str) -> None:
    with pytest.raises(AgentError, match=r"^unknown agent"):
        registry.resolve(name)


def test_an_agent_of_a_hook_is_given_back_as_it_is() -> None:
    agent = HookAgent("mine")
    assert registry.resolve("mine", {"mine": agent}) is agent
    assert isinstance(agent, Agent)


def test_an_alias_keeps_its_own_name() -> None:
    assert registry.resolve("cheap", {"cheap": "claude-haiku"}) == ClaudeAgent("cheap", model="haiku")


def test_an_alias_may_add_words_for_the_command_line() -> None:
    extra = {"trusted": "big --allowedTools 'Bash(make *)'", "big": "claude-opus --effort high"}
    agent = registry.resolve("trusted", extra)
    assert agent == ClaudeAgent(
        "trusted", model="opus", arguments=("--effort", "high", "--allowedTools", "Bash(make *)")
    )


def test_a_built_in_name_can_be_given_more_words() -> None:
    agent = registry.resolve("claude-opus", {"claude-opus": "claude-opus --effort high"})
    assert agent == ClaudeAgent("claude-opus", model="opus", arguments=("--effort", "high"))


def test_aliases_in_a_circle_are_refused() -> None:
    with pytest.raises(AgentError, match="agent 'a' stands for itself: a -> b -> a"):
        registry.resolve("a", {"a": "b", "b": "a"})


@pytest.mark.parametrize("text", ["", "claude 'open"])
def test_an_alias_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(AgentError, match="agent 'a': cannot read"):
        registry.resolve("a", {"a": text})


def test_words_cannot_be_added_to_an_agent_of_a_hook() -> None:
    with pytest.raises(AgentError, match="'mine' comes from a hook and takes no further words"):
        registry.resolve("a", {"a": "mine --fast", "mine": HookAgent("mine")})


def test_the_family_is_the_head_of_the_name() -> None:
    assert registry.family("codex-gpt54") == "codex"
    assert registry.family("claude") == "claude"
    assert registry.family("mine") is None


def test_sessions_pass_between_agents_of_one_family_only() -> None:
    extra = {"cheap": "claude-haiku"}
    assert registry.same_cli("claude-opus", "claude-haiku")
    assert registry.same_cli("claude-opus", "cheap", extra)
    assert registry.same_cli("codex", "codex-gpt54")
    assert not registry.same_cli("claude", "codex")
    assert not registry.same_cli("who", "who")


def test_a_problem_is_told_as_text() -> None:
    assert registry.problem("claude-opus") is None
    assert registry.problem("codex") == (
        "agent 'codex' is not supported yet\n"
        "  hint: supported are claude, claude-opus, claude-sonnet, claude-haiku, claude-opusplan"
    )


def test_a_cassette_plays_names_of_every_family() -> None:
    assert registry.problem("codex-gpt54", replayed=True) is None
    assert registry.problem("nobody", replayed=True) is not None
