"""Validators: parts of an attempt that run after its gates, and decide how it is settled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.engine.schedule.resumable import ResumableSchedule
from pytest_gump.order import Timings, Verdict
from pytest_gump.workflow.model import Call, GateSpec, Step, ValidatorOptions, Workflow

from tests.engine.schedule_kit import Done, Drive, agent, ended, flat, gate, group, own_policy, plan

if TYPE_CHECKING:
    from pytest_gump.engine.schedule.records import Ready

TEST = GateSpec("test")


def review(name: str = "check", **keys: Any) -> Step:
    return agent(name, "opus", output="review", **keys)


def validator(name: str, *steps: Step) -> tuple[GateSpec, Step]:
    called = Step(f"validate-{name}", steps=steps or (review(),), call=Call(name, f"{name}.yaml", {}, {}))
    return GateSpec("validate", name, ValidatorOptions()), called


def validated(step: Step, *validators: tuple[GateSpec, Step]) -> Step:
    """Return the step with a test gate and these validators."""
    keys = {name: getattr(step, name) for name in Step.__slots__}
    keys["gate"] = (TEST, *(spec for spec, _ in validators))
    keys["validators"] = tuple(called for _, called in validators)
    return Step(**keys)


def impl(*validators: tuple[GateSpec, Step], **keys: Any) -> Step:
    return validated(agent("impl", **keys), *(validators or (validator("arch"),)))


class Reviews(Drive):
    """Gives each review that does not pass a comment."""

    def done(self, ready: Ready) -> Done:
        done = super().done(ready)
        if ready.mode != "review" or done.outcome not in {"passed", "review_failed"}:
            return done
        passed = done.outcome == "passed"
        comment = f"comment {ready.attempt} of {ready.path.name}"
        return Done(done.path, _with_verdict(done, Verdict(passed, comment)), done.commit)


def _with_verdict(done: Done, verdict: Verdict) -> Any:
    result = done.result
    return ended(
        done.path, result.attempt, result.outcome, result.agent,
        commit=done.commit, reason=result.reason, verdict=verdict,
    ).result  # fmt: skip


def drive(*steps: Step, **keys: Any) -> Reviews:
    reviews = Reviews(steps, **keys)
    reviews.run()
    return reviews


def validated_of(run: Drive) -> list[str]:
    """Return how the attempts were settled whose validators have ended: step, attempt, verdict, outcome, reason."""
    return [
        f"{one.ready.path} {one.ready.attempt} {one.settled.verdict}: {one.result.outcome} {one.result.reason}".strip()
        for settled in run.settled
        if (one := settled.validated) is not None
    ]


PART = "impl--validate-arch::check"


def test_a_validator_runs_after_the_attempt_on_its_snapshot_and_lets_the_step_pass() -> None:
    run = drive(impl(), gate("after"))
    assert run.log == ["impl 1 haiku", f"{PART} 1 opus", "after 1 -"]
    part = run.orders[1]
    assert (part.base, part.step_base, part.mode) == ("impl#1", "impl#1", "review")
    assert part.checks is not None
    assert (part.checks.ready.path, part.checks.ready.attempt, part.checks.commit) == (run.orders[0].path, 1, "impl#1")
    assert [settled.verdict for settled in run.settled] == ["judged", "passed", "passed"]
    assert validated_of(run) == ["impl 1 passed: passed"]
    assert run.orders[2].base == "impl#1"
    assert run.statuses == {"impl": "passed", "after": "passed"}


def test_a_verdict_fails_the_attempt_and_its_comment_is_in_the_result() -> None:
    run = drive(impl(on_failure=flat(3)), fails={PART: ["review_failed"]})
    assert run.log == ["impl 1 haiku", f"{PART} 1 opus", "impl 2 haiku", f"{PART} 2 opus"]
    assert validated_of(run) == [
        "impl 1 retried: review_failed validator arch did not pass: comment 1 of check",
        "impl 2 passed: passed",
    ]
    assert run.settled[1].verdict == "again"
    retry = run.orders[2]
    assert retry.failure is not None
    assert (retry.failure.outcome, retry.failure.source, retry.failure.failing) == (
        "review_failed", "review_fail", ("validate: arch",),
    )  # fmt: skip
    assert (str(retry.failed), retry.base) == ("impl", "impl#1")
    first = run.settled[1].validated
    assert first is not None
    assert [(one.name, one.status, one.output) for one in first.result.gates] == [
        ("validate: arch", "failed", "comment 1 of check")
    ]
    assert run.statuses == {"impl": "passed"}


def test_an_attempt_with_a_failed_gate_is_not_validated() -> None:
    run = drive(impl(on_failure=flat(2)), fails={"impl": ["gate_failed"]})
    assert run.log == ["impl 1 haiku", "impl 2 haiku", f"{PART} 1 opus"]
    assert run.settled[0].verdict == "retried"


def test_all_validators_run_and_each_failed_one_is_a_reason() -> None:
    three = (validator("one"), validator("two"), validator("three"))
    fails = {"impl--validate-one::check": ["review_failed"], "impl--validate-three::check": ["review_failed"]}
    run = drive(impl(*three), fails=fails)
    assert run.log == [
        "impl 1 haiku",
        "impl--validate-one::check 1 opus",
        "impl--validate-two::check 1 opus",
        "impl--validate-three::check 1 opus",
    ]
    reason = "validator one did not pass: comment 1 of check; validator three did not pass: comment 1 of check"
    assert validated_of(run) == [f"impl 1 failed: review_failed {reason}"]
    last = run.settled[-1].validated
    assert last is not None
    assert [gate.status for gate in last.result.gates] == ["failed", "passed", "failed"]
    assert run.statuses == {"impl": "failed"}
    assert run.schedule.reason == "impl failed: review_failed"


@pytest.mark.parametrize("outcome", ["agent_error", "budget", "output_invalid", "guard", "gate_error"])
def test_a_validator_without_a_verdict_is_a_gate_error_and_costs_the_author_nothing(outcome: str) -> None:
    run = drive(impl(on_failure=flat(5)), gate("after"), fails={PART: [outcome]})
    assert run.log == ["impl 1 haiku", f"{PART} 1 opus"]
    reason = f"validator arch gave no verdict: {PART}: {PART} attempt 1"
    assert validated_of(run) == [f"impl 1 failed: gate_error {reason}"]
    assert run.settled[-1].verdict == "again"
    assert run.statuses == {"impl": "failed", "after": "skipped"}


def test_a_usage_limit_in_a_validator_ends_the_run_and_leaves_the_attempt_open() -> None:
    """No other validator runs, because a resumed run repeats the attempt that reached the limit."""
    run = drive(impl(validator("arch"), validator("next"), on_failure=flat(5)), gate("after"), fails={PART: ["quota"]})
    assert run.log == ["impl 1 haiku", f"{PART} 1 opus"]
    assert (run.settled[-1].verdict, run.settled[-1].outcome, validated_of(run)) == ("failed", "quota", [])
    assert (run.statuses, run.schedule.reason) == ({"impl": "skipped", "after": "skipped"}, f"{PART} failed: quota")


def test_a_lost_worker_repeats_the_part_once() -> None:
    run = drive(impl(), fails={PART: ["crashed"]})
    assert run.log == ["impl 1 haiku", f"{PART} 1 opus", f"{PART} 1 opus"]
    run = drive(impl(on_failure=flat(2)), fails={PART: ["crashed", "crashed"]})
    assert validated_of(run)[0].startswith("impl 1 failed: gate_error")


def test_a_validator_follows_its_own_policy_first() -> None:
    own = validator("arch", review(on_failure=flat(2)))
    run = drive(impl(own), fails={PART: ["output_invalid"]})
    assert run.log == ["impl 1 haiku", f"{PART} 1 opus", f"{PART} 2 opus"]
    assert validated_of(run) == ["impl 1 passed: passed"]
    assert run.settled[1].verdict == "retried"


def test_a_validator_may_have_several_steps_groups_and_plan_items() -> None:
    steps = (
        agent("split", "sonnet", output="plan"),
        group("each", review("look"), foreach="split", parallel=True),
        gate("tool"),
        review(),
    )
    plans = {"impl--validate-arch::split": plan("a", "b")}
    run = drive(impl(validator("arch", *steps)), plans=plans)
    assert run.log == [
        "impl 1 haiku",
        "impl--validate-arch::split 1 sonnet",
        "impl--validate-arch::each::look[a] 1 opus",
        "impl--validate-arch::each::look[b] 1 opus",
        "impl--validate-arch::tool 1 -",
        f"{PART} 1 opus",
    ]
    run = drive(
        impl(validator("arch", *steps)), plans=plans, fails={"impl--validate-arch::each::look[b]": ["review_failed"]}
    )
    assert run.log[-1] == "impl--validate-arch::each::look[b] 1 opus"
    assert validated_of(run) == [
        "impl 1 failed: review_failed validator arch did not pass: comment 1 of look",
    ]


def test_parallel_reviews_that_do_not_pass_are_one_answer() -> None:
    """A review without a verdict does not hide them."""
    look = group("look", review("one"), review("two"), review("three"), parallel=True)
    names = {"one": "agent_error", "two": "review_failed", "three": "review_failed"}
    fails = {f"impl--validate-arch::look::{name}": [outcome] for name, outcome in names.items()}
    run = drive(impl(validator("arch", look, review()), on_failure=flat(2)), fails=fails)
    assert validated_of(run)[0].startswith(
        "impl 1 retried: review_failed validator arch did not pass: comment 1 of two"
    )
    first = next(settled.validated for settled in run.settled if settled.validated is not None)
    assert first.result.gates[-1].output == "comment 1 of two\n\ncomment 1 of three"


def test_a_gate_of_a_validator_that_fails_is_no_verdict() -> None:
    steps = (gate("tool"), review())
    run = drive(
        impl(validator("arch", *steps), on_failure=flat(3)), fails={"impl--validate-arch::tool": ["gate_failed"]}
    )
    assert validated_of(run)[0].startswith("impl 1 failed: gate_error validator arch gave no verdict")


def test_validators_check_gate_only_steps_and_the_gates_of_a_group() -> None:
    run = drive(validated(gate("tests"), validator("arch")))
    assert run.log == ["tests 1 -", "tests--validate-arch::check 1 opus"]
    build = validated(group("build", agent("impl")), validator("arch"))
    run = drive(build, fails={"build::gate--validate-arch::check": ["review_failed"]})
    assert run.log == ["build::impl 1 haiku", "build::gate 1 -", "build::gate--validate-arch::check 1 opus"]
    assert run.statuses == {"build::impl": "passed", "build::gate": "failed"}


def test_validators_check_a_replanned_step_as_a_whole() -> None:
    step = impl(on_failure=flat(2, "same", "replan: opus"))
    run = drive(step, fails={"impl": ["gate_failed"]}, plans={"impl--replan::plan": plan("a")})
    assert run.log[-2:] == ["impl 2 -", f"{PART} 1 opus"]
    assert run.orders[-1].base == "impl#2"


def test_validators_of_parallel_members_belong_to_their_items() -> None:
    build = group("build", impl(), foreach="split", parallel=True)
    run = Reviews((agent("split", "opus", output="plan"), build), plans={"split": plan("a", "b")})
    run.step()
    first, second = run.schedule.ready()
    for ready in (first, second):
        run.schedule.start(ready.path)
        run.settled.append(run.schedule.complete(*run.done(ready), own_policy))
    parts = run.schedule.ready()
    assert [str(part.path) for part in parts] == [f"build::{PART}[a]", f"build::{PART}[b]"]
    assert [item.slug for item in parts[0].items] == ["a"]
    assert str(run.schedule.member_of(parts[0].path)) == "build::impl--validate-arch[a]"
    living = {str(path) for path in run.schedule.living()}
    assert living == {"build[a]", "build[b]", "build::impl--validate-arch[a]", "build::impl--validate-arch[b]"}
    run.run()
    assert run.schedule.passed


def test_a_stopped_run_keeps_the_attempt_open_while_a_validator_is_left() -> None:
    run = Reviews((impl(validator("one"), validator("two")), gate("after")))
    run.step()
    (part,) = run.schedule.ready()
    run.schedule.start(part.path)
    assert [str(path) for path in run.schedule.stop("the budget is spent")] == ["after"]
    settled = run.schedule.complete(*run.done(part), own_policy)
    assert (settled.verdict, settled.validated) == ("passed", None)
    assert [str(path) for path in settled.skipped] == ["impl"]
    assert run.statuses == {"impl": "skipped", "after": "skipped"}


def test_an_attempt_that_ends_after_the_run_has_failed_is_not_validated() -> None:
    run = Reviews((impl(),))
    (ready,) = run.schedule.ready()
    run.schedule.start(ready.path)
    run.schedule.stop("the budget is spent")
    settled = run.schedule.complete(*run.done(ready), own_policy)
    assert (settled.verdict, [str(path) for path in settled.skipped]) == ("judged", ["impl"])
    assert run.schedule.done


@pytest.mark.parametrize("output", ["diff", "plan", "artifact", "review"])
def test_a_resumed_run_runs_only_the_failed_steps_of_validators(output: str) -> None:
    two = validator("two", agent("look", output="artifact"), review())
    step = impl(validator("one"), two, validator("three"), output=output, on_failure=flat(2))
    second = "impl--validate-two::check"
    run = Reviews((step,), fails={second: ["agent_error"]})
    schedule = ResumableSchedule(Workflow("w", (step,)), base="base")
    for _ in range(5):
        (ready,) = schedule.ready()
        settled = schedule.replay(*run.done(ready), own_policy)
    assert settled.validated is not None
    assert settled.validated.settled.verdict == "failed"
    schedule.resume()
    (leaf,) = schedule.leaves()
    assert (leaf.status, leaf.validators) == ("running", ("two",))
    (again,) = schedule.ready()
    assert (str(again.path), again.attempt, again.base) == (second, 2, "impl#1")
    schedule.start(again.path)
    assert [str(path) for path in schedule.living()] == ["impl--validate-two"], "its slot is kept"
    settled = schedule.complete(*run.done(again), own_policy)
    assert settled.validated is not None
    assert [gate.name for gate in settled.validated.result.gates] == [
        "validate: one",
        "validate: two",
        "validate: three",
    ]
    assert (settled.validated.ready.attempt, schedule.passed) == (1, True)


def test_a_resumed_run_that_gets_the_missing_verdict_continues_with_the_author() -> None:
    step = impl(on_failure=flat(2))
    schedule = ResumableSchedule(Workflow("w", (step,)), base="base")
    run = Reviews((step,), fails={PART: ["budget", "review_failed"]})
    for _ in range(2):
        (ready,) = schedule.ready()
        schedule.replay(*run.done(ready), own_policy)
    schedule.resume()
    (ready,) = schedule.ready()
    schedule.complete(*run.done(ready), own_policy)
    (ready,) = schedule.ready()
    assert (str(ready.path), ready.attempt, ready.base) == ("impl", 2, "impl#1")


@pytest.mark.parametrize("outcome", ["gate_error", "budget", "output_invalid"])
def test_a_validator_ends_when_its_parallel_steps_have_ended(outcome: str) -> None:
    """No step of it is left when the next validator starts, and the attempt is settled once."""
    look = group("look", review("one"), review("two"), review("three"), parallel=True)
    run = Reviews(
        (impl(validator("arch", look, review()), validator("next")),),
        fails={f"impl--validate-arch::look::{name}": [outcome] for name in ("one", "two")},
    )
    run.step()
    for ready in (first := run.schedule.ready(2)):
        run.schedule.start(ready.path)
    for ready in first:
        run.schedule.complete(*run.done(ready), own_policy)
    run.run()
    assert run.log[1:] == ["impl--validate-arch::look::three 1 opus", "impl--validate-next::check 1 opus"]
    reason = "validator arch gave no verdict: impl--validate-arch::look::one: impl--validate-arch::look::one attempt 1"
    assert validated_of(run) == [f"impl 1 failed: gate_error {reason}"]
    assert run.statuses == {"impl": "failed"}


@pytest.mark.parametrize(("outcome", "verdict"), [("passed", "passed"), ("review_failed", "failed")])
def test_the_last_validator_settles_the_attempt_after_the_run_has_failed(outcome: str, verdict: str) -> None:
    """No attempt follows in this session; a resumed run continues from the verdict."""
    steps = (group("all", impl(on_failure=flat(2)), agent("other"), parallel=True),)
    part = f"all::{PART}"
    run = Reviews(steps, fails={"all::other": ["gate_error"], part: [outcome]})
    schedule = ResumableSchedule(Workflow("w", steps), base="base")
    dones = []
    for path in ("all::impl", "all::other", part):
        for ready in run.schedule.ready():
            run.schedule.start(ready.path)
            dones.append(run.done(ready))
        number = next(number for number, done in enumerate(dones) if str(done.path) == path)
        done = dones.pop(number)
        settled = run.schedule.complete(*done, own_policy)
        schedule.replay(*done, own_policy)
    assert settled.validated is not None
    assert (settled.validated.settled.verdict, settled.skipped, run.schedule.done) == (verdict, (), True)
    assert run.statuses["all::impl"] == verdict
    schedule.resume()
    offered = {str(ready.path): ready.attempt for ready in schedule.ready()}
    assert offered == {"all::other": 2, **({"all::impl": 2} if verdict == "failed" else {"all::merge[impl]": 1})}


def answers(*comments: str, fails: tuple[str, ...] = ()) -> list[Any]:
    """Return the answers of one validator whose reviews have these comments; each takes 2 seconds."""
    names = [f"look{number}" for number in range(len(comments))]

    class Commented(Drive):
        def done(self, ready: Ready) -> Done:
            done = super().done(ready)
            if ready.mode != "review":
                return done
            verdict = Verdict(done.outcome == "passed", comments[names.index(ready.path.name)])
            result = replace(done.result, verdict=verdict, timings=Timings(0.0, 2.0))
            return Done(done.path, result, done.commit)

    paths = {f"impl--validate-arch::{names[int(number)]}": [outcome] for number, outcome in enumerate(fails)}
    run = Commented((impl(validator("arch", *map(review, names)), validator("last")),), fails=paths)
    names.append("check")
    comments = (*comments, "")
    while not run.schedule.done:
        run.step()
    found = [one for settled in run.settled if (one := settled.validated) is not None]
    return [*found[-1].result.gates, found[-1].result.reason]


def test_an_answer_has_the_last_comment_in_one_line_and_the_time_of_all_reviews() -> None:
    arch, last, reason = answers("first", f"two\nlines {'x' * 400}")
    assert (arch.name, arch.status, arch.output, arch.duration_s) == ("validate: arch", "passed", "", 4.0)
    assert arch.summary == f"two lines {'x' * 289}\u2026"
    assert (last.status, last.summary, last.duration_s, reason) == ("passed", "", 2.0, "")


def test_a_refusal_has_the_whole_comment_and_a_summary() -> None:
    arch, last, reason = answers("y" * 400, fails=("review_failed",))
    assert (arch.status, arch.summary, arch.output) == ("failed", f"{'y' * 299}\u2026", "y" * 400)
    assert last.status == "passed"
    assert reason == f"validator arch did not pass: {'y' * 270}\u2026"


def test_a_person_is_not_asked_after_a_refusal_of_a_validator() -> None:
    step = impl(hitl="after_gate")
    run = drive(step, fails={PART: ["review_failed"]})
    assert run.log == ["impl 1 haiku", f"{PART} 1 opus"]
    run = drive(step)
    assert run.log[2:] == ["impl--validate--approval::approve 1 -"]
    run = drive(
        impl(hitl="after_gate", on_failure=flat(1)), fails={"impl--validate--approval::approve": ["review_failed"]}
    )
    assert validated_of(run) == ["impl 1 failed: review_failed approval did not pass:"]


def test_reviews_without_a_verdict_have_no_comment_and_long_reasons_are_cut() -> None:
    (settled,) = [one for step in Drive((impl(),)).run().settled if (one := step.validated) is not None]
    assert [one.summary for one in settled.result.gates] == [""]
    name = "x" * 150
    part = f"impl--validate-arch::{name}"
    run = Drive((impl(validator("arch", review(name))),), fails={part: ["agent_error"]})
    (settled,) = [one for step in run.run().settled if (one := step.validated) is not None]
    summary = settled.result.gates[-1].summary
    assert (len(summary), summary[:190]) == (300, f"{part}: {part}"[:190])
