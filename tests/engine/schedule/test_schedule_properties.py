from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.engine.schedule.decision import Retry, Stop
from pytest_gump.engine.schedule.nodes import Group
from pytest_gump.engine.schedule.schedule import Schedule
from pytest_gump.order import PlanItem
from pytest_gump.workflow.model import (
    AgentOf,
    Approval,
    Call,
    GateSpec,
    OnFailure,
    Policy,
    Step,
    StickyRule,
    When,
    Workflow,
)
from pytest_gump.workflow.path import StepPath

from tests.engine.schedule_kit import Done, agent, ended, entries, flat, group, own_policy, plan, tdd
from tests.kits.examples import examples
from tests.kits.sizes import full_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypothesis.strategies import DataObject, DrawFn
    from pytest_gump.engine.schedule.decision import Decision, Failure
    from pytest_gump.engine.schedule.nodes import Leaf
    from pytest_gump.engine.schedule.records import Ready, Settled

MOST_ORDERS = 20_000
FAILURES = ("gate_failed", "gate_failed", "review_failed", "guard", "output_invalid", "agent_error", "crashed")
FATAL = ("gate_error", "budget", "quota", "cancelled")


BUDGETS = st.sampled_from([None, None, 1.0, 3.0])
CALLS = BUDGETS.map(lambda budget: Call("called", "called.yaml", {}, {}, max_budget=budget))
"""Steps of a called workflow see only the plans of that workflow. Several calls have steps of the same names."""


RULES = (
    StickyRule(gate="test", agent="sonnet"),
    StickyRule(attempt=3, session="fresh", worktree="reset", prompt="again"),
)


@st.composite
def policies(draw: DrawFn, targets: list[str], *, with_replan: bool) -> Policy:
    kinds = ["same", "same: 2", "escalate: sonnet", *(["replan: opus"] if with_replan else [])]
    strategy = entries("same", *draw(st.lists(st.sampled_from(kinds), max_size=2)))
    conditions = st.sampled_from([None, None, When(gate=("test",)), When(attempt=3)])
    later = (replace(entry, when=draw(conditions)) for entry in strategy[1:])
    restart_from = draw(st.none() | st.sampled_from(targets))
    rules = draw(st.sampled_from([(), (), (), RULES]))
    return Policy(draw(st.integers(1, 3)), (strategy[0], *later), restart_from, draw(st.booleans()), rules)


@st.composite
def failure_policies(draw: DrawFn, targets: list[str], *, with_replan: bool) -> OnFailure | None:
    one = policies(targets, with_replan=with_replan)
    form = draw(st.sampled_from(["none", "flat", "flat", "branches"]))
    if form == "none":
        return None
    if form == "flat":
        return OnFailure(flat=draw(one))
    return OnFailure(gate_fail=draw(one), review_fail=draw(st.none() | one), guard_fail=draw(st.none() | one))


@st.composite
def step_lists(draw: DrawFn, depth: int, plans: list[str], prefix: str, *, in_parallel: bool) -> tuple[Step, ...]:
    """Draw the steps of one group. Parallel members do not refer to each other, because the loader rejects that."""
    steps: list[Step] = []
    known = list(plans)
    for number in range(draw(st.integers(1, 3))):
        name = f"{prefix}{number}"
        targets = [name] if in_parallel else [*(step.name for step in steps if "--" not in step.name), name]
        kinds = ["agent"] * 4 + ["gate", "plan"] * 2 + ["approve"] + (["group"] * 4 if depth else [])
        kind = draw(st.sampled_from(kinds))
        on_failure = draw(failure_policies(targets, with_replan=kind == "agent"))
        if kind == "group":
            steps.append(draw(groups(depth - 1, known, name, on_failure)))
        elif kind == "approve":
            steps.append(Step(name=name, on_failure=on_failure, approve=Approval()))
        elif kind == "gate":
            steps.append(Step(name=name, on_failure=on_failure, **draw(checks())))
        else:
            output = "plan" if kind == "plan" else "diff"
            steps += [] if in_parallel else draw(contexts(name))
            named = [] if in_parallel else [step.name for step in steps if step.agent and step.agent_of is None]
            agent_of = draw(st.sampled_from([None, *(AgentOf(other, ("sonnet",)) for other in named)]))
            keys = {"allow_empty": kind == "plan", "max_budget": draw(BUDGETS), **draw(checks())}
            steps.append(agent(name, output=output, on_failure=on_failure, agent_of=agent_of, **keys))
        if kind == "plan" and not in_parallel:
            known.append(name)
    return tuple(steps)


@st.composite
def contexts(draw: DrawFn, step: str) -> list[Step]:
    """Draw the calls for the context of a step, most often none."""
    counts = range(draw(st.sampled_from([0, 0, 0, 1, 2])))
    policy = draw(failure_policies(["look"], with_replan=False))
    look = agent("look", output="artifact", on_failure=policy)
    tell = agent("tell", output="artifact")
    return [group(f"{step}--context-c{number}", look, tell, call=draw(CALLS)) for number in counts]


@st.composite
def checks(draw: DrawFn) -> dict[str, Any]:
    """Draw the keys of a step for its gates, up to two validators and a person. Most often, it has none."""
    called = [draw(validator(f"v{number}")) for number in range(draw(st.sampled_from([0, 0, 0, 1, 2])))]
    gates = tuple(GateSpec("validate", step.name.removeprefix("validate-")) for step in called)
    if draw(st.sampled_from([False, False, True])):
        gates = (GateSpec("test"), *gates)
    hitl = draw(st.sampled_from([None, None, None, "before_gate", "after_gate"]))
    return {"gate": gates, "validators": tuple(called), "hitl": hitl}


@st.composite
def validator(draw: DrawFn, name: str) -> Step:
    names = ["look", "judge"] if draw(st.booleans()) else ["judge"]
    is_parallel = draw(st.booleans())
    targets = [[name] if is_parallel else names[:1] for name in names]
    policies = [draw(failure_policies(target, with_replan=False)) for target in targets]
    steps = [agent(name, output="review", on_failure=own) for name, own in zip(names, policies, strict=True)]
    if is_parallel:
        steps = [group("all", *steps, parallel=True), agent("end", output="review")]
    return group(f"validate-{name}", *steps, call=draw(CALLS))


@st.composite
def groups(draw: DrawFn, depth: int, plans: list[str], name: str, on_failure: OnFailure | None) -> Step:
    foreach = draw(st.none() | st.sampled_from(plans)) if plans else None
    is_parallel = draw(st.booleans())
    call = draw(st.none() | CALLS)
    known, prefix = (plans, f"{name}x") if call is None else ([], "called")
    children = draw(step_lists(depth, known, prefix, in_parallel=is_parallel and foreach is None))
    keys = {"max_budget": draw(BUDGETS), **draw(checks())}
    return group(name, *children, foreach=foreach, parallel=is_parallel, on_failure=on_failure, call=call, **keys)


@dataclass
class Walk:
    """Runs a schedule with random outcomes and records its events."""

    workflow: Workflow
    outcome: Callable[[Ready], str]
    decide: Callable[[Step, StepPath, Sequence[Failure], Decision], Decision] = own_policy
    executors: int = 1
    pick: Callable[[int], int] = lambda _: 0
    orders: list[Ready] = field(default_factory=list)
    dones: list[Done] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    events: list[StepPath | Done] = field(default_factory=list)
    """Starts and ends of attempts, in order."""

    def __post_init__(self) -> None:
        self.schedule = Schedule(self.workflow, base="base")

    def run(self, check: Callable[[Walk, Ready], None] = lambda *_: None) -> Walk:
        flying: list[Ready] = []
        while not self.schedule.done:
            for ready in self.schedule.ready(self.executors - len(flying)):
                self.schedule.start(ready.path)
                self.events.append(ready.path)
                flying.append(ready)
            assert flying, "a run that is not done offers at least one attempt"
            assert len(flying) <= self.executors
            ready = flying.pop(self.pick(len(flying)))
            check(self, ready)
            self.orders.append(ready)
            assert len(self.orders) < MOST_ORDERS
            self.dones.append(self._done(ready))
            self.events.append(self.dones[-1])
            self.settled.append(self.schedule.complete(*self.dones[-1], self.decide))
        assert flying == []
        return self

    def _done(self, ready: Ready) -> Done:
        outcome = self.outcome(ready)
        if ready.mode in {"merge", "approve"} and outcome not in {"passed", *FATAL, "crashed"}:
            outcome = "conflict" if ready.mode == "merge" else "review_failed"
        commit = f"{ready.path}#{ready.attempt}"
        if outcome == "passed":
            size = (len(str(ready.path)) + ready.attempt) % 3 if ready.step.allow_empty else 2
            items = plan("u", "v")[:size] if ready.mode == "plan" else None
            return ended(ready.path, ready.attempt, agent=ready.agent, commit=commit, plan=items)
        failing = "test" if outcome == "gate_failed" else ""
        tree = "t" if len(self.orders) % 3 else commit
        return ended(ready.path, ready.attempt, outcome, ready.agent, commit=commit, failing=failing, tree=tree)


@st.composite
def workflows(draw: DrawFn) -> Workflow:
    return Workflow(name="w", steps=draw(step_lists(2, [], "s", in_parallel=False)))


def outcomes(data: DataObject, *, fatal: bool = True) -> Callable[[Ready], str]:
    """Draw outcomes. The rate of failures is drawn first, so that it varies between runs."""
    random = data.draw(st.randoms(use_true_random=False))
    failing = data.draw(st.sampled_from([0.0, 0.2, 0.5, 0.9]))

    def outcome(_: Ready) -> str:
        if random.random() >= failing:
            return "passed"
        return random.choice(FATAL) if fatal and random.random() < 0.03 else random.choice(FAILURES)

    return outcome


def settlements(walk: Walk) -> list[tuple[StepPath, Settled]]:
    """Return the end of each attempt with its step, those that validators decided included."""
    found: list[tuple[StepPath, Settled]] = []
    for done, settled in zip(walk.dones, walk.settled, strict=True):
        found.append((done.path, settled))
        if settled.validated is not None:
            found.append((settled.validated.ready.path, settled.validated.settled))
    return found


def nodes(group: Group) -> list[Leaf | Group]:
    below = [node for node in group.members if node is not None]
    return [*below, *(node for child in below if isinstance(child, Group) for node in nodes(child))]


@examples(300)
@given(workflows(), st.data())
def test_every_run_ends_and_every_step_has_one_final_status(workflow: Workflow, data: DataObject) -> None:
    walk = Walk(workflow, outcomes(data)).run()
    states = walk.schedule.leaves()
    assert len({leaf.path for leaf in states}) == len(states)
    ends = [settled for _, settled in settlements(walk)]
    without_items = {path for settled in ends if settled.skip_reason for path in settled.skipped}
    skipped = {leaf.path for leaf in states if leaf.status == "skipped"}
    wanted = {"passed", "skipped"} if walk.schedule.passed else {"passed", "failed", "skipped"}
    assert {leaf.status for leaf in states} <= wanted
    assert walk.schedule.ready() == []
    at_the_end = () if ends[-1].skip_reason else ends[-1].skipped
    assert {*at_the_end} <= skipped <= {*at_the_end, *without_items}
    assert not walk.schedule.passed or not at_the_end
    assert all(settled.skip_reason for settled in ends[:-1] if settled.skipped)


@examples(200)
@given(workflows(), st.data())
def test_status_of_a_step_is_its_last_verdict(workflow: Workflow, data: DataObject) -> None:
    walk = Walk(workflow, outcomes(data)).run()
    last = {path: settled.verdict for path, settled in settlements(walk)}
    for leaf in walk.schedule.leaves():
        if leaf.status == "passed":
            assert last[leaf.path] == "passed"
        elif leaf.status == "failed" and last[leaf.path] != "failed":
            assert any(
                leaf.path in settled.failed or (settled.step == leaf.path and settled.verdict == "failed")
                for _, settled in settlements(walk)
            )
    if not walk.schedule.passed:
        assert any(settled.verdict == "failed" or settled.failed for _, settled in settlements(walk))


@examples(200)
@given(workflows(), st.data(), st.sampled_from([1, 2, 5]))
def test_each_validated_attempt_is_settled_once_and_its_parts_never_fail_the_run(
    workflow: Workflow, data: DataObject, executors: int
) -> None:
    walk = Walk(workflow, outcomes(data), executors=executors).run()
    judged = Counter(path for path, settled in settlements(walk) if settled.verdict == "judged")
    concluded = Counter(one.ready.path for settled in walk.settled if (one := settled.validated) is not None)
    late = {path for _, settled in settlements(walk) for path in settled.skipped}
    for path, count in judged.items():
        assert count - (path in late) <= concluded[path] <= count
    assert concluded.keys() <= judged.keys()
    failed = [settled for path, settled in settlements(walk) if path.validator and settled.verdict == "failed"]
    assert {settled.outcome for settled in failed} <= {"quota"}


@examples(200)
@given(workflows(), st.data(), st.sampled_from([1, 2, 5]))
def test_no_step_starts_before_earlier_steps_have_passed(workflow: Workflow, data: DataObject, executors: int) -> None:
    def check(walk: Walk, ready: Ready) -> None:
        node: Leaf | Group = walk.schedule._open[ready.path][0]
        assert node.status == "running"
        while (group := node.parent) is not None:
            if not group.is_parallel or node.index == group.size:
                assert all(member is not None and member.status == "passed" for member in group.members[: node.index])
                assert not any(group.members[node.index + 1 :])
            node = group

    random = data.draw(st.randoms(use_true_random=False))
    walk = Walk(workflow, outcomes(data), executors=executors, pick=random.randrange).run(check)
    assert walk.schedule.done


def agents_of_passed_steps(walk: Walk) -> dict[StepPath, str | None]:
    """Return the newest agent of each step that has passed."""
    newest: dict[StepPath, str | None] = {}
    passed: dict[StepPath, str | None] = {}
    for ready, settled in zip(walk.orders, walk.settled, strict=True):
        newest[ready.path] = ready.agent or newest.get(ready.path)
        ends = [(ready.path, settled)]
        ends += [(settled.validated.ready.path, settled.validated.settled)] if settled.validated is not None else []
        passed.update({path: newest.get(path) for path, end in ends if end.verdict == "passed"})
    return passed


@examples(200)
@given(workflows(), st.data(), st.sampled_from([1, 2, 5]))
def test_step_begins_with_the_agent_of_the_step_it_names(workflow: Workflow, data: DataObject, executors: int) -> None:
    def check(walk: Walk, ready: Ready) -> None:
        parent = walk.schedule._open[ready.path][0].parent
        if ready.step.agent_of is None or ready.role != "step" or ready.entry not in {"first", "restart"}:
            return
        other = StepPath((*ready.path.names[:-1], ready.step.agent_of.step), ready.path.items)
        assert parent.override is not None or ready.agent == agents_of_passed_steps(walk)[other]

    random = data.draw(st.randoms(use_true_random=False))
    assert Walk(workflow, outcomes(data), executors=executors, pick=random.randrange).run(check).schedule.done


@examples(200)
@given(workflows(), st.data())
def test_counted_failures_never_exceed_the_limit(workflow: Workflow, data: DataObject) -> None:
    def check(walk: Walk, _: Ready) -> None:
        for node in nodes(walk.schedule._root):
            for name, count in node.tally.counts.items():
                assert node.policy is not None
                own = node.policy.flat or getattr(node.policy, name)
                assert count.failures <= own.retry
                assert count.failures < own.retry or isinstance(node, Group) or node.status != "running"

    walk = Walk(workflow, outcomes(data)).run(check)
    assert walk.schedule.done


@examples(200)
@given(workflows(), st.data(), st.sampled_from([1, 2, 5]))
def test_attempt_numbers_of_a_path_never_decrease(workflow: Workflow, data: DataObject, executors: int) -> None:
    walk = Walk(workflow, outcomes(data), executors=executors).run()
    highest: Counter[StepPath] = Counter()
    for ready, done in zip(walk.orders, walk.dones, strict=True):
        is_repeat = ready.attempt == highest[ready.path]
        assert is_repeat or ready.attempt > highest[ready.path]
        assert not is_repeat or any(
            one.outcome == "crashed" for one in walk.dones if (one.path, one.attempt) == (done.path, done.attempt)
        )
        highest[ready.path] = ready.attempt


def decided(settled: Settled) -> tuple[object, ...]:
    """Return what a replay of the decisions must repeat; it has no notes about the hook that made them."""
    own = (settled.verdict, settled.decisions, settled.outcome)
    if (checked := settled.validated) is None:
        return own
    return (*own, checked.ready, checked.result, checked.commit, decided(checked.settled))


@examples(200)
@given(workflows(), st.data(), st.sampled_from([1, 2, 5]))
def test_replay_of_recorded_decisions_gives_the_same_state(
    workflow: Workflow, data: DataObject, executors: int
) -> None:
    random = data.draw(st.randoms(use_true_random=False))
    recorded: list[Decision] = []

    def hook(_: Step, __: StepPath, ___: Sequence[Failure], own: Decision) -> Decision:
        return random.choice([own, own, own, Retry(agent="codex"), Retry(worktree="reset"), Stop("enough")])

    walk = Walk(workflow, outcomes(data), decide=hook, executors=executors, pick=random.randrange).run()
    for _, ended_attempt in settlements(walk):
        recorded.extend(decision for _, decision in ended_attempt.decisions)

    again = Schedule(workflow, base="base")
    ends = iter(walk.settled)
    for event in walk.events:
        if not isinstance(event, Done):
            again.start(event)
            continue
        settled = next(ends)
        replayed = again.complete(*event, lambda *_: recorded.pop(0))
        assert decided(replayed) == decided(settled)
    assert recorded == []
    assert again.signature() == walk.schedule.signature()
    assert again.leaves() == walk.schedule.leaves()


@examples(100)
@given(workflows(), st.data())
def test_nothing_is_offered_after_an_abort(workflow: Workflow, data: DataObject) -> None:
    schedule = Schedule(workflow, base="base")
    skipped = schedule.abort("spent")
    assert set(skipped) == {leaf.path for leaf in schedule.leaves()}
    assert (schedule.done, schedule.passed, schedule.ready()) == (True, False, [])


@pytest.mark.slow
def test_cost_of_a_call_does_not_grow_with_the_number_of_plan_items() -> None:
    small, large = full_size((200, 2_000), (1_000, 10_000))
    assert call_cost(large) < 4 * call_cost(small)


def call_cost(count: int) -> float:
    """Run a plan with `count` items, and return the CPU seconds of one call."""
    steps = (
        agent("decompose", output="plan"),
        group("build", agent("a", on_failure=flat(3, "same: 3")), agent("b"), foreach="decompose"),
    )
    items = tuple(PlanItem(name=f"i{number}", slug=f"i{number}") for number in range(count))
    schedule = Schedule(Workflow(name="w", steps=steps), base="base")
    calls = 0
    started = time.process_time()
    while not schedule.done:
        (ready,) = schedule.ready(1)
        plan_items = items if ready.mode == "plan" else None
        schedule.complete(*ended(ready.path, ready.attempt, commit="c", plan=plan_items), own_policy)
        calls += 1
    assert calls == 2 * count + 1
    return (time.process_time() - started) / calls


def test_documented_example_has_the_same_attempts_with_recorded_outcomes() -> None:
    failing = iter(["passed", "passed", *["gate_failed"] * 4, "passed", "gate_failed"])
    walk = Walk(tdd(), lambda _: next(failing)).run()
    assert [(ready.path.name, ready.attempt, ready.agent) for ready in walk.orders[1:]] == [
        ("tests", 1, "haiku"),
        ("impl", 1, "haiku"),
        ("impl", 2, "haiku"),
        ("impl", 3, "haiku"),
        ("impl", 4, "sonnet"),
        ("tests", 2, "haiku"),
        ("impl", 5, "haiku"),
    ]
    assert not walk.schedule.passed
