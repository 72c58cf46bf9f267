"""A loaded workflow as data: every key with its default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple

from pytest_gump.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

OutputMode = Literal["diff", "plan", "artifact", "review"]
BlastRadius = Literal["enforce", "warn", "off"]
Overlap = Literal["report", "serialize"]
Shown = Literal["diff", "cost", "changed_config"]
Hitl = Literal["before_gate", "after_gate"]
InputType = Literal["string", "integer", "number", "boolean", "choice", "path"]
VALIDATE: Final = "validate"
"""The gate that runs a validator, which is its argument."""


class ContextEntry(NamedTuple):
    """One addition to the prompt: a file of the worktree, or the output of a command or workflow. One is set."""

    file: str | None = None
    bash: str | None = None
    workflow: str | None = None
    """Name of the workflow, as the file writes it."""
    call: str | None = None
    """For a workflow: name of the step before this one that calls it."""


class SessionMode(NamedTuple):
    mode: Literal["fresh", "reuse", "reuse-on-retry", "fork"] = "fresh"
    step: str | None = None
    """The step whose conversation is resumed (`{reuse: STEP}`) or copied (`{fork: STEP}`)."""


@dataclass(frozen=True, slots=True)
class Guard:
    max_turns: int | None = None
    max_budget: float | None = None
    """USD for one attempt."""
    max_tokens: int | None = None
    max_time: float | None = None
    """Seconds for one attempt. The step's `timeout` sets the same limit."""
    no_write: bool | None = None


SHOWN_CHARS: Final = 40
"""Maximum length of the text of an option in the label of a gate."""


@dataclass(frozen=True, slots=True)
class ValidatorOptions:
    """Options of the gate `{validate: NAME, with: {...}, independent: true}`."""

    needs_side: ClassVar = False
    """True if the gate uses a side slot."""
    inputs: tuple[tuple[str, str], ...] = ()
    """Inputs that differ from the defaults of the validator, by name; templates are not filled in."""
    independent: bool = False
    """True if the validator's agents must use a different model family from the author of the change."""

    @property
    def shown(self) -> Iterator[str]:
        """The options that differ from their defaults; long texts are cut."""
        yield from (f"{name}: {one_line(text, SHOWN_CHARS)}" for name, text in self.inputs)
        if self.independent:
            yield "independent"


@dataclass(frozen=True, slots=True)
class GateSpec:
    name: str
    argument: str | None = None
    options: ValidatorOptions | None = None
    """Typed options of the gates that have more than an argument."""

    @property
    def needs_side(self) -> bool:
        """True if the order needs a side slot for the gate."""
        return self.options is not None and self.options.needs_side

    @property
    def label(self) -> str:
        """Name, argument, and the options that differ from their defaults: `validate: arch-review (focus: errors)`."""
        label = self.name if self.argument is None else f"{self.name}: {self.argument}"
        shown = ", ".join(self.options.shown) if self.options is not None else ""
        return f"{label} ({shown})" if shown else label


def gate_name(label: str) -> str:
    """Return the name of a gate from its label: `touched` for `touched: @tests`."""
    return label.partition(":")[0]


def validator_name(label: str) -> str | None:
    """Return the validator from a gate's label: `arch-review` for `validate: arch-review (independent)`; or None."""
    name, _, argument = label.partition(":")
    return argument.partition(" (")[0].strip() if name == VALIDATE else None


def template_name(label: str) -> str:
    """Return the name of a gate in `{gate.NAME}`; for a validator, the last part: `tdd` for `validate: acme/tdd`."""
    validator = validator_name(label)
    return gate_name(label) if validator is None else validator.rpartition("/")[2]


class When(NamedTuple):
    """The failures that an entry of a strategy is for. All conditions that are set must hold."""

    gate: tuple[str, ...] = ()
    """Names of gates, without argument: at least one of them failed."""
    validate: str | None = None
    """Name of a validator that did not pass."""
    attempt: int | None = None
    """Smallest number of the next attempt, counted since the step was entered."""

    def __str__(self) -> str:
        """Return the conditions as text: `if compile or test fails from attempt 3 on`."""
        gates = f"if {' or '.join(self.gate)} fails" if self.gate else ""
        validator = f"if validator {self.validate} does not pass" if self.validate is not None else ""
        return " ".join(filter(None, (gates, validator, f"from attempt {self.attempt} on" if self.attempt else "")))


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a strategy, expanded: `same: 3` becomes three entries."""

    kind: Literal["same", "escalate", "replan"] = "same"
    agent: str | None = None
    session: Literal["fresh", "resume"] | None = None
    worktree: Literal["keep", "reset"] | None = None
    prompt: str | None = None
    when: When | None = None
    """None if the entry fits every failure."""

    @property
    def name(self) -> str:
        return self.kind if self.agent is None else f"{self.kind}: {self.agent}"


class StickyRule(NamedTuple):
    """A rule of a translated `retry:` of Gump 0.0.4. Once it has fitted, its values stay in force."""

    attempt: int | None = None
    """Smallest number of the next attempt that the rule fits, counted since the step was entered."""
    gate: str | None = None
    """Name of a gate without argument that failed in the last attempt."""
    validate: str | None = None
    """Name of a validator that did not pass in the last attempt. Exactly one of the three is set."""
    agent: str | None = None
    session: Literal["fresh"] | None = None
    worktree: Literal["reset"] | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    retry: int = 1
    """At most this many attempts; in a branch, only its failures count."""
    strategy: tuple[Entry, ...] = (Entry(),)
    """The first entry is the first attempt: always `same`, without conditions. Each failure then uses up the first
    unused entry that fits it."""
    restart_from: str | None = None
    adds_first: bool = False
    """True if the first entry is not in the file. It does not repeat then."""
    rules: tuple[StickyRule, ...] = ()
    """Rules of a file of Gump 0.0.4, in place of a strategy. Later rules replace the values of earlier ones."""

    @property
    def agents(self) -> Iterator[str]:
        """The agents that the policy can start, with duplicates."""
        yield from (entry.agent for entry in self.strategy if entry.agent is not None)
        yield from (rule.agent for rule in self.rules if rule.agent is not None)

    @property
    def prompts(self) -> Iterator[str]:
        """The prompts that replace the step's prompt."""
        yield from (entry.prompt for entry in self.strategy if entry.prompt is not None)
        yield from (rule.prompt for rule in self.rules if rule.prompt is not None)

    @property
    def last(self) -> Entry | None:
        """The entry that repeats when no unused entry fits: the last one without conditions; None if there is none."""
        return next((entry for entry in reversed(self.strategy[self.adds_first :]) if entry.when is None), None)

    @property
    def has_conditions(self) -> bool:
        return any(entry.when is not None for entry in self.strategy)


@dataclass(frozen=True, slots=True)
class OnFailure:
    """Policies after a failure: either `flat` or one or more branches."""

    flat: Policy | None = None
    gate_fail: Policy | None = None
    guard_fail: Policy | None = None
    review_fail: Policy | None = None

    @property
    def policies(self) -> Iterator[Policy]:
        """The policies that are set."""
        branches = (self.flat, self.gate_fail, self.guard_fail, self.review_fail)
        return (policy for policy in branches if policy is not None)

    @property
    def restart_targets(self) -> frozenset[str]:
        """Names of the steps that a restart can go back to."""
        return frozenset(policy.restart_from for policy in self.policies if policy.restart_from is not None)

    def branch(self, source: Literal["gate_fail", "guard_fail", "review_fail"]) -> Policy | None:
        """Return the policy for a failure from `source`; a missing branch falls back to `gate_fail`."""
        return self.flat or getattr(self, source) or self.gate_fail


class Input(NamedTuple):
    required: bool = False
    default: str | None = None
    type: InputType = "string"
    choices: tuple[str, ...] = ()
    """The values of an input of type `choice`."""
    description: str = ""


class Package(NamedTuple):
    """An installed package of workflows."""

    name: str
    version: str
    digest: str
    """Hash of all its files."""
    folder: Path

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.digest})"


class Call(NamedTuple):
    """The workflow that a step calls, without its steps: they are the children of the step."""

    workflow: str
    """Name or path, as the caller writes it."""
    file: str
    """Path of the called file, or the name of a workflow without a file."""
    inputs: Mapping[str, Input]
    values: Mapping[str, str]
    """Value of each input that the caller passes; a template that is filled in the scope of the caller."""
    agents: tuple[str, ...] = ()
    """The inputs that are agents of steps."""
    package: Package | None = None
    max_budget: float | None = None
    max_tokens: int | None = None
    max_time: float | None = None
    blast_radius: BlastRadius = "off"
    """A stricter value of the caller wins."""


class Approval(NamedTuple):
    """What an approval step shows, and how long it waits."""

    show: tuple[Shown, ...] = ("diff", "cost", "changed_config")
    expires: float | None = None
    """Seconds after which a missing answer counts as a rejection."""


class AgentOf(NamedTuple):
    """The step whose agent another step uses: `agent: "{steps.converge.agent}"`."""

    step: str
    """Reference to an earlier agent step: a name or a path."""
    others: tuple[str, ...] = ()
    """Agents that this step can be escalated to."""
    input: str = ""
    """With `agent: "{reviewer}"`, the input, and no step. A run has its value, so its steps have none of these."""


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    agent: str | None = None
    """Declared agent; with `agent_of`, that of the step it names, and empty until it is known."""
    agent_of: AgentOf | None = None
    prompt: str = ""
    """Text of the prompt; a prompt file is read when the workflow is loaded."""
    output: OutputMode = "diff"
    context: tuple[ContextEntry, ...] = ()
    session: SessionMode = SessionMode()
    guard: Guard = Guard()
    max_budget: float | None = None
    gate: tuple[GateSpec, ...] = ()
    allow_no_change: bool = False
    """True if the diff step may leave all files unchanged without giving a reason."""
    allow_empty: bool = False
    """True if the plan may be empty."""
    on_failure: OnFailure | None = None
    steps: tuple[Step, ...] = ()
    """The children of a group, or the steps of the called workflow."""
    call: Call | None = None
    validators: tuple[Step, ...] = ()
    """The called workflows of the `validate` gates, in their order, each as a group named `validate-NAME`."""
    foreach: str | None = None
    parallel: bool = False
    overlap: Overlap = "report"
    """Treatment of plan items of a parallel group whose `files` may overlap."""
    approve: Approval | None = None
    """A person must approve the tree; the step does nothing else."""
    hitl: Hitl | None = None
    """A person must approve the work of the step: before its gates run, or after they have passed."""

    @property
    def first_agents(self) -> tuple[str, ...]:
        """The agents that the first attempt can have."""
        own = (self.agent,) if self.agent else ()
        return own if self.agent_of is None else tuple(dict.fromkeys((*own, *self.agent_of.others)))

    @property
    def validator_gates(self) -> tuple[GateSpec, ...]:
        """The gates of the validators, in their order."""
        return tuple(gate for gate in self.gate if gate.name == VALIDATE)

    @property
    def answering(self) -> tuple[Step, ...]:
        """The validators; after them, with `hitl: after_gate`, the approval of a person."""
        return (*self.validators, PERSON) if self.validators and self.hitl == "after_gate" else self.validators

    @property
    def kind(self) -> Literal["agent", "gate", "group", "approve"]:
        if self.steps:
            return "group"
        if self.approve is not None:
            return "approve"
        return "agent" if self.agent is not None else "gate"


PERSON: Final = Step(name="validate--approval", steps=(Step(name="approve", approve=Approval()),))
"""A person, as the last validator of a step. No workflow has this name."""


@dataclass(frozen=True, slots=True)
class Workflow:
    name: str
    steps: tuple[Step, ...]
    description: str = ""
    max_budget: float | None = None
    max_tokens: int | None = None
    max_time: float | None = None
    """Seconds for the whole run."""
    blast_radius: BlastRadius = "enforce"
    inputs: dict[str, Input] = field(default_factory=dict)
    setup: tuple[str, ...] = ()
    """Includes the commands of called workflows, each once, after those of the workflow itself."""
    package: Package | None = None
    """The installed package that contains the file."""
