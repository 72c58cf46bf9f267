"""Short constructors for workflows, and a driver that completes orders with outcomes from a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from pytest_gump.engine.schedule.schedule import Schedule
from pytest_gump.gates.base import GateResult
from pytest_gump.order import AttemptResult, Outcome, PlanItem, Timings
from pytest_gump.workflow.model import Entry, GateSpec, OnFailure, Policy, Step, Workflow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_gump.engine.schedule.decision import Decision, Failure
    from pytest_gump.engine.schedule.records import Ready, Settled
    from pytest_gump.workflow.path import StepPath


class Done(NamedTuple):
    """The arguments of `Schedule.complete` except the last."""

    path: StepPath
    result: AttemptResult
    commit: str | None

    @property
    def attempt(self) -> int:
        return self.result.attempt

    @property
    def outcome(self) -> Outcome:
        return self.result.outcome


def ended(
    path: StepPath, attempt: int, outcome: str = "passed", agent: str | None = None, *, commit: str | None = None,
    failing: str = "", reason: str = "", **more: Any,
) -> Done:  # fmt: skip
    """Return an attempt with the snapshot `commit`, and with the failed gate `failing` if it is given."""
    gates = (GateResult(failing, "failed"),) if failing else ()
    fields = {"timings": Timings(0.0, 0.0), "tree": commit, "gates": gates, **more}
    return Done(path, AttemptResult(str(path), attempt, Outcome(outcome), reason, agent, **fields), commit)


def entries(*texts: str) -> tuple[Entry, ...]:
    """Parse entries such as `same: 3`, `escalate: sonnet` and `replan: opus`."""
    expanded: list[Entry] = []
    for text in texts:
        kind, _, value = (part.strip() for part in text.partition(":"))
        if kind == "same":
            expanded += [Entry()] * int(value or 1)
        else:
            expanded.append(Entry(cast("Literal['escalate', 'replan']", kind), value))
    return tuple(expanded if expanded and expanded[0].kind == "same" else [Entry(), *expanded])


def policy(retry: int | None = None, *strategy: str, restart_from: str | None = None) -> Policy:
    listed = entries(*strategy)
    return Policy(retry=retry or len(listed), strategy=listed, restart_from=restart_from)


def flat(retry: int | None = None, *strategy: str, restart_from: str | None = None) -> OnFailure:
    return OnFailure(flat=policy(retry, *strategy, restart_from=restart_from))


def agent(name: str, agent: str = "haiku", **keys: Any) -> Step:
    return Step(name=name, agent=agent, **keys)


def gate(name: str, **keys: Any) -> Step:
    return Step(name=name, gate=(GateSpec(name="test"),), **keys)


def group(name: str, *steps: Step, **keys: Any) -> Step:
    return Step(name=name, steps=steps, **keys)


def plan(*names: str) -> tuple[PlanItem, ...]:
    return tuple(PlanItem(name=name, slug=name) for name in names)


def tdd() -> Workflow:
    """Return the first example on the page about the language."""
    tests = agent("tests", on_failure=flat(2, "same", "escalate: sonnet"))
    impl = agent("impl", on_failure=flat(5, "same: 3", "escalate: sonnet", restart_from="tests"))
    build = group("build", tests, impl, foreach="decompose")
    return Workflow(name="tdd", steps=(agent("decompose", "opus", output="plan"), build, gate("quality")))


def own_policy(_: Step, __: StepPath, ___: Sequence[Failure], own: Decision) -> Decision:
    return own


@dataclass
class Drive:
    """Runs a schedule serially. `fails` maps a path to the outcomes of its attempts in order. Other attempts pass."""

    steps: tuple[Step, ...]
    fails: dict[str, list[str]] = field(default_factory=dict)
    plans: dict[str, tuple[PlanItem, ...]] = field(default_factory=dict)
    decide: Callable[[Step, StepPath, Sequence[Failure], Decision], Decision] = own_policy
    tree: Callable[[Ready], str] | None = None
    orders: list[Ready] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    dones: list[Done] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.schedule = Schedule(Workflow(name="w", steps=self.steps), base="base")

    def run(self, limit: int = 200) -> Drive:
        for _ in range(limit):
            if self.schedule.done:
                return self
            self.step()
        raise AssertionError("the schedule did not finish")

    def step(self) -> Settled:
        (ready,) = self.schedule.ready(1)
        self.orders.append(ready)
        done = self.done(ready)
        self.dones.append(done)
        self.settled.append(self.schedule.complete(*done, self.decide))
        return self.settled[-1]

    def done(self, ready: Ready) -> Done:
        path = str(ready.path)
        outcome = (self.fails.get(path) or ["passed"]).pop(0) if self.fails.get(path) else "passed"
        commit = f"{path}#{ready.attempt}"
        items = self.plans.get(path, plan("one", "two")) if ready.mode == "plan" and outcome == "passed" else None
        outcome, _, guard = outcome.partition("/")
        if outcome == "passed":
            return ended(ready.path, ready.attempt, agent=ready.agent, commit=commit, plan=items)
        tree, reason = self.tree(ready) if self.tree else commit, f"{ready.path} attempt {ready.attempt}"
        return ended(
            ready.path, ready.attempt, outcome, ready.agent,
            commit=commit, failing="test", reason=reason, tree=tree, guard=guard or None,
        )  # fmt: skip

    @property
    def log(self) -> list[str]:
        """One line such as `impl[one] 2 sonnet` for each order."""
        return [f"{ready.path} {ready.attempt} {ready.agent or '-'}" for ready in self.orders]

    @property
    def statuses(self) -> dict[str, str]:
        return {str(leaf.path): leaf.status for leaf in self.schedule.leaves()}
