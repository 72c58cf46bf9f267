"""The language as it is written in YAML: its keys, their forms and their meaning.

`schema.py` makes the JSON Schema of these classes, and the loader takes the known keys from them. What a file means
once it is read is in `model.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pytest_gump.workflow.model import BlastRadius, OutputMode, Overlap  # noqa: TC001  evaluated for the JSON Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME_PATTERN: Final = r"^(?!-)(?!.*--)[A-Za-z0-9_-]{1,64}$"
MAX_ATTEMPTS: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """What the JSON Schema says of a value besides its type."""

    properties: Mapping[str, object]

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {**handler(core), **self.properties}


def _text(pattern: str, *examples: str) -> Rule:
    return Rule({"pattern": pattern, "examples": [*examples]} if examples else {"pattern": pattern})


Name = Annotated[str, _text(NAME_PATTERN)]
Words = Annotated[str, Rule({"minLength": 1})]
Dollars = Annotated[float, Rule({"exclusiveMinimum": 0})]
Count = Annotated[int, Rule({"minimum": 1})]
Attempts = Annotated[int, Rule({"minimum": 1, "maximum": MAX_ATTEMPTS})]
Duration = Annotated[str, _text(r"^(?=.)(\d+h)?(\d+m)?(\d+(\.\d+)?s)?$", "90s", "5m", "1h30m")]
NOT_EMPTY = Rule({"minItems": 1})
SessionWord = Literal["fresh", "reuse", "reuse-on-retry"]
GateArgument: TypeAlias = str | float
GateWithArgument = Annotated[dict[str, GateArgument | None], Rule({"minProperties": 1, "maxProperties": 1})]


class Written:
    """A mapping of the file. Only described here, never made."""


class PromptFile(Written):
    file: Words
    """Path relative to this YAML file."""


Prompt: TypeAlias = str | PromptFile


class ContextFile(Written):
    file: Words
    """A file of the worktree; templates apply."""


class ContextCommand(Written):
    bash: Words
    """A shell command, run in the worktree; what it prints is added to the prompt."""


class SessionOf(Written):
    reuse: Words
    """The step whose session is resumed; it must run the same CLI."""


class SessionCopy(Written):
    fork: Words
    """The step with a copy of whose session this one begins; it must run the same CLI."""


class GuardKeys(Written):
    max_turns: Count | None = None
    """Answers of the model in one attempt."""
    max_budget: Dollars | None = None
    """USD for one attempt."""
    max_tokens: Count | None = None
    """Tokens of all kinds in one attempt."""
    max_time: Duration | None = None
    """Time for one attempt: 90s, 5m, 1h30m."""
    no_write: bool | None = None
    """Stop the agent when it changes a file. Always on for plan, artifact and review steps."""


class Same(Written):
    same: Attempts | None
    """How many attempts."""
    session: Literal["fresh", "resume"] | None = None
    """Instead of resuming."""
    worktree: Literal["keep", "reset"] | None = None
    """Instead of keeping the tree."""
    prompt: str | None = None
    """Instead of the step's own prompt."""


class Escalate(Written):
    escalate: Words
    """The agent that makes the attempt."""
    session: Literal["fresh", "resume"] | None = None
    """Instead of a new session."""
    worktree: Literal["keep", "reset"] | None = None
    """Instead of going back to where the step began."""
    prompt: str | None = None
    """Instead of the step's own prompt."""


class Replan(Written):
    replan: Words
    """The agent that splits the step into items; the step's own agent does them."""
    session: Literal["fresh", "resume"] | None = None
    """Instead of a new session."""
    worktree: Literal["keep", "reset"] | None = None
    """Instead of going back to where the step began."""
    prompt: str | None = None
    """Instead of the step's own prompt."""


StrategyWord = Annotated[
    str,
    _text(
        r"^(same|same:\s*[1-9][0-9]?|same:\s*100|(escalate|replan):\s*\S.*)$",
        "same", "same: 3", "escalate: claude-opus", "replan: claude-opus",
    ),
]  # fmt: skip


class PolicyKeys(Written):
    retry: Attempts | None = None
    """The failure with this number is final. Absent: the length of the strategy."""
    strategy: Annotated[list[StrategyWord | Same | Escalate | Replan], NOT_EMPTY] | None = None
    """Who makes attempt 1, 2, 3, ...; the last entry repeats."""
    restart_from: Name | None = None
    """An earlier step beside this one, or this one, to go back to after the last entry. Needs `retry`."""


class BranchKeys(Written):
    gate_fail: PolicyKeys | None = None
    """After a failed gate, and after any failure that has no branch of its own."""
    guard_fail: PolicyKeys | None = None
    """After a guard stopped the agent."""
    review_fail: PolicyKeys | None = None
    """After a verdict that did not pass."""


class InputKeys(Written):
    required: bool = False
    """A call must give a value."""
    default: GateArgument | None = None
    """The value if none is given."""


class StepKeys(Written):
    """A step: with `agent`, with `gate` alone, or a group with `steps`."""

    name: Name
    """Letters, digits, `_` and `-`; unique among its siblings."""
    agent: Words | None = None
    """Who does the work: `claude-opus`, `claude-sonnet`, `claude-haiku`, ..."""
    prompt: Prompt | None = None
    """The task: text, or a file beside this one. `{spec}`, `{item.description}`, `{steps.NAME.output}` are filled."""
    output: OutputMode = "diff"
    """What the agent delivers: a change of the tree, a plan, a text, or a verdict."""
    context: list[ContextFile | ContextCommand] | None = None
    """Added to the prompt."""
    session: SessionWord | SessionOf | SessionCopy = "fresh"
    """Whether the agent goes on in an earlier conversation."""
    timeout: Duration | None = None
    """Time for one attempt; the same limit as `guard.max_time`."""
    guard: GuardKeys | None = None
    """Limits watched while the agent works."""
    max_budget: Dollars | None = None
    """USD for all attempts of the step."""
    gate: list[Words | GateWithArgument] | None = None
    """Checks after the agent or the group; all run. `compile`, `test`, `lint`, `touched: GLOB`, `bash: CMD`, ..."""
    allow_no_change: bool = False
    """An agent step with `output: diff` may pass without a change of files. Otherwise its agent must say why."""
    on_failure: PolicyKeys | BranchKeys | None = None
    """What follows a failed attempt."""
    steps: Annotated[list[StepKeys], NOT_EMPTY] | None = None
    """The children of a group."""
    foreach: Words | None = None
    """An earlier plan step: the group runs once for each of its items."""
    parallel: bool = False
    """Run the items, or the children, in parallel."""
    overlap: Overlap = "report"
    """Plan items whose `files` may overlap: only told, or run one after the other."""


class WorkflowKeys(Written):
    """A workflow of pytest-gump."""

    name: Name
    """The workflow's name."""
    description: str = ""
    """One line, shown where workflows are listed."""
    max_budget: Dollars | None = None
    """USD for the whole run."""
    max_tokens: Count | None = None
    """Tokens of all kinds for the whole run."""
    max_time: Duration | None = None
    """Time for the whole run: 90s, 5m, 1h30m."""
    blast_radius: BlastRadius = "enforce"
    """Whether a change outside the files of the plan item fails the attempt."""
    inputs: dict[Name, InputKeys | None] | None = None
    """Values that a call gives, used as `{name}`."""
    setup: list[Words] | None = None
    """Shell commands, run once in each new worktree."""
    steps: Annotated[list[StepKeys], NOT_EMPTY]
    """What is done, in this order."""


@cache
def keys(shape: type[Written]) -> dict[str, None]:
    """Give the keys of a mapping, in the order of the documentation; a dict, because they are asked for very often."""
    return dict.fromkeys(shape.__annotations__)
