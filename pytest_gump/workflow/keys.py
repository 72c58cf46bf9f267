"""The keys of workflow files, with the forms and meaning of their values.

`schema.py` generates the JSON Schema from these classes, and the loader uses them as the known keys. `model.py` defines
the loaded workflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pytest_gump.workflow.model import (  # noqa: TC001  evaluated for the JSON Schema
    BlastRadius,
    Hitl,
    InputType,
    OutputMode,
    Overlap,
    Shown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME_PATTERN: Final = r"^(?!-)(?!.*--)[A-Za-z0-9_-]{1,64}$"
MAX_ATTEMPTS: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """JSON Schema properties of a value in addition to its type."""

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
Age = Annotated[str, _text(r"^([1-9]\d{0,2}[dw]|(?=.)(\d+h)?(\d+m)?(\d+(\.\d+)?s)?)$", "3d", "1w", "12h")]
NOT_EMPTY = Rule({"minItems": 1})
SessionWord = Literal["fresh", "reuse", "reuse-on-retry"]
GateArgument: TypeAlias = str | float | bool
InputValue: TypeAlias = str | float | bool
GateWithArgument = Annotated[dict[str, GateArgument | None], Rule({"minProperties": 1, "maxProperties": 1})]


class Written:
    """A mapping of the file. These classes are never instantiated."""


class PromptFile(Written):
    file: Words
    """Path relative to this YAML file."""


Prompt: TypeAlias = str | PromptFile


class ValidateKeys(Written):
    """A gate that runs a workflow on the change and checks its verdict."""

    validate: Words
    """The workflow; its last step is a review."""
    with_: dict[str, InputValue] | None = None
    """Its inputs; templates apply."""
    independent: bool = False
    """Its agents must use a different model family from the author of the change."""


class ContextFile(Written):
    file: Words
    """A file of the worktree; templates apply."""


class ContextCommand(Written):
    bash: Words
    """A shell command, run in the worktree; its output is added to the prompt."""


class ContextWorkflow(Written):
    workflow: Words
    """A workflow that only reads; the output of its last step is added to the prompt."""
    with_: dict[str, InputValue] | None = None
    """Its inputs; templates apply."""


class SessionOf(Written):
    reuse: Words
    """The step whose conversation is resumed; it must run the same CLI."""


class SessionCopy(Written):
    fork: Words
    """The step whose conversation is copied; it must run the same CLI."""


class GuardKeys(Written):
    max_turns: Count | None = None
    """Model responses in one attempt."""
    max_budget: Dollars | None = None
    """USD for one attempt."""
    max_tokens: Count | None = None
    """Tokens of all kinds in one attempt."""
    max_time: Duration | None = None
    """Time for one attempt: 90s, 5m, 1h30m."""
    no_write: bool | None = None
    """Stop the agent when it changes a file. Always on for plan, artifact and review steps."""


class WhenKeys(Written):
    gate: Words | Annotated[list[Words], NOT_EMPTY] | None = None
    """Names of gates, without argument: at least one of them failed."""
    validate: Words | None = None
    """Name of a validator that did not pass."""
    attempt: Annotated[int, Rule({"minimum": 2, "maximum": MAX_ATTEMPTS})] | None = None
    """Number of the next attempt, counted since the step began: fits from this attempt on."""


When: TypeAlias = Annotated[WhenKeys, Rule({"minProperties": 1})]


class Same(Written):
    same: Attempts | None
    """Number of attempts."""
    session: Literal["fresh", "resume"] | None = None
    """Replaces the default: the conversation is resumed."""
    worktree: Literal["keep", "reset"] | None = None
    """Replaces the default: the worktree keeps its changes."""
    prompt: str | None = None
    """Replaces the step's prompt."""
    when: When | None = None
    """The failures that the entry is for. Default: every failure."""


class Escalate(Written):
    escalate: Words
    """The agent of the attempt."""
    session: Literal["fresh", "resume"] | None = None
    """Replaces the default: a new conversation starts."""
    worktree: Literal["keep", "reset"] | None = None
    """Replaces the default: the worktree is reset to the start of the step."""
    prompt: str | None = None
    """Replaces the step's prompt."""
    when: When | None = None
    """The failures that the entry is for. Default: every failure."""


class Replan(Written):
    replan: Words
    """The agent that splits the step into items, which the step's own agent then carries out."""
    session: Literal["fresh", "resume"] | None = None
    """Replaces the default: a new conversation starts."""
    worktree: Literal["keep", "reset"] | None = None
    """Replaces the default: the worktree is reset to the start of the step."""
    prompt: str | None = None
    """Replaces the step's prompt."""
    when: When | None = None
    """The failures that the entry is for. Default: every failure."""


StrategyWord = Annotated[
    str,
    _text(
        r"^(same|same:\s*[1-9][0-9]?|same:\s*100|(escalate|replan):\s*\S.*)$",
        "same", "same: 3", "escalate: claude-opus", "replan: claude-opus",
    ),
]  # fmt: skip


class PolicyKeys(Written):
    retry: Attempts | None = None
    """At most this many attempts; in a branch, only its failures count. Default: the length of the strategy."""
    strategy: Annotated[list[StrategyWord | Same | Escalate | Replan], NOT_EMPTY] | None = None
    """Agents of attempts 1, 2, 3, ...; the last entry without `when` repeats."""
    restart_from: Name | None = None
    """This step or an earlier sibling, to restart from after the last entry. Needs `retry`."""


class BranchKeys(Written):
    gate_fail: PolicyKeys | None = None
    """After a failed gate, and after any failure without its own branch."""
    guard_fail: PolicyKeys | None = None
    """After a guard has stopped the agent."""
    review_fail: PolicyKeys | None = None
    """After a verdict that did not pass."""


class InputKeys(Written):
    type: InputType = "string"
    """What the value must be; `path` is relative to the project."""
    choices: Annotated[list[InputValue], NOT_EMPTY] | None = None
    """The values of an input with `type: choice`."""
    required: bool = False
    """A caller must pass a value."""
    default: InputValue | None = None
    """Value if none is passed."""
    description: str | None = None
    """What the input is for."""


class ApproveKeys(Written):
    show: Annotated[list[Shown], NOT_EMPTY] | None = None
    """What a person sees before the answer. Default: all of it."""
    expires: Age | None = None
    """Time after which a missing answer counts as a rejection: 3d, 1w, 12h."""


class StepKeys(Written):
    """A step: with `agent`, with `gate` alone, with `approve`, a group with `steps`, or a call with `workflow`."""

    name: Name
    """Letters, digits, `_` and `-`; unique among its siblings."""
    agent: Words | None = None
    """The agent: `claude-opus`, `claude-sonnet`, ...; `{steps.STEP.agent}`: that of an earlier step; `{INPUT}`."""
    prompt: Prompt | None = None
    """The task: text or a prompt file. `{spec}`, `{item.description}`, `{steps.NAME.output}` are replaced."""
    output: OutputMode = "diff"
    """What the agent delivers: a change of the tree, a plan, a text, or a verdict."""
    context: list[ContextFile | ContextCommand | ContextWorkflow] | None = None
    """Added to the prompt."""
    session: SessionWord | SessionOf | SessionCopy = "fresh"
    """Whether the agent continues an earlier conversation."""
    timeout: Duration | None = None
    """Time for one attempt; the same limit as `guard.max_time`."""
    guard: GuardKeys | None = None
    """Limits watched while the agent works."""
    max_budget: Dollars | None = None
    """USD for all attempts of the step."""
    gate: list[Words | ValidateKeys | GateWithArgument] | None = None
    """Checks after the agent or the group; all are run. `compile`, `test`, `lint`, `touched: GLOB`, `bash: CMD`, ..."""
    allow_no_change: bool = False
    """An `output: diff` step may pass without changed files. Otherwise its agent must give a reason."""
    allow_empty: bool = False
    """The plan of an `output: plan` step may be empty. Its `foreach` then has nothing to do, and passes."""
    on_failure: PolicyKeys | BranchKeys | None = None
    """Retries, escalations and restarts after a failed attempt."""
    steps: Annotated[list[StepKeys], NOT_EMPTY] | None = None
    """The children of a group."""
    workflow: Words | None = None
    """The workflow that the step calls: a name, PACKAGE/NAME, or a file relative to this one."""
    with_: dict[Name, InputValue] | None = None
    """Inputs of the called workflow; templates apply."""
    foreach: Words | None = None
    """An earlier plan step: the group runs once for each of its items."""
    parallel: bool = False
    """Run the items, or the children, in parallel."""
    overlap: Overlap = "report"
    """Plan items whose `files` may overlap: only report them, or run them one after the other."""
    approve: Literal[True] | ApproveKeys | None = None
    """A person must approve the files of the run before it continues."""
    hitl: bool | Hitl | None = None
    """A person must approve the step's work: before its gates run (`true`), or after they have passed."""


class WorkflowKeys(Written):
    """A workflow of pytest-gump."""

    name: Name
    """The workflow's name."""
    description: str | None = ""
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
    """Values that a caller passes, used as `{name}`."""
    setup: list[Words] | None = None
    """Shell commands, run once in each new worktree."""
    steps: Annotated[list[StepKeys], NOT_EMPTY]
    """The steps, in the order in which they run."""


@cache
def keys(shape: type[Written]) -> dict[str, None]:
    """Return the keys of a mapping, in the order of the documentation; as a dict, for fast lookup."""
    return dict.fromkeys(map(key_of, shape.__annotations__))


def key_of(attribute: str) -> str:
    """Return the key that an attribute describes: `with` for `with_`, because `with` is a word of Python."""
    return attribute.removesuffix("_")
