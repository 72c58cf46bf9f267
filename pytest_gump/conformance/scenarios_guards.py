"""Limits that gump enforces: they end an attempt, and its last process ends soon after."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.base import Turn, UsageSeen
from pytest_gump.conformance import apart
from pytest_gump.conformance.model.script import Answer, Shell, Spent, Write, script
from pytest_gump.conformance.scenario import Scenario, expect_none, expect_outcome, expect_that
from pytest_gump.conformance.subjects import KEY
from pytest_gump.conformance.watch import POLL_S, Watch, living
from pytest_gump.order import Limits, Outcome
from pytest_gump.units import format_usd

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.agents.base import Event
    from pytest_gump.conformance.bench import Bench
    from pytest_gump.order import AttemptResult

GONE_S: Final = 5.0
"""Most seconds from a breach or a signal to the end of the last process."""
SAFETY_S: Final = 90.0
IN_TOOL_S: Final = 12.0
ITS_OWN: Final = 2
"""Minimum number of processes while a command runs: the CLI and the command."""

ENDLESS: Final = script(
    *(Answer(f"Step {n}.", (Write(f"step{n}.txt", f"{n}\n"),), spent=Spent(input=9000)) for n in range(20)),
    endless=True,
)
SLEEPING: Final = script(Answer("I wait.", (Shell("sh wait.sh"),)), Answer("Done."))

MAX_TURNS: Final = 3
MAX_TOKENS: Final = 35_000
MAX_BUDGET: Final = 0.03
TOO_MANY: Final = 20
"""Maximum number of answers. Two or three reach the limits, but an estimated cost may be far off."""


def turn_limit(bench: Bench) -> str:
    limits = Limits(max_turns=MAX_TURNS, max_time_s=SAFETY_S)

    def over(event: Event) -> bool:
        return isinstance(event, Turn) and event.number > MAX_TURNS

    return _endless(bench, limits, "max_turns", over)


def token_limit(bench: Bench) -> str:
    limits = Limits(max_tokens=MAX_TOKENS, max_time_s=SAFETY_S)

    def over(event: Event) -> bool:
        return isinstance(event, UsageSeen) and event.usage.tokens.total > MAX_TOKENS

    return _endless(bench, limits, "max_tokens", over)


def budget(bench: Bench) -> str:
    limits = Limits(max_budget=MAX_BUDGET, max_time_s=SAFETY_S)

    def over(event: Event) -> bool:
        return isinstance(event, UsageSeen) and (event.usage.cost_usd or 0) > MAX_BUDGET

    return _endless(bench, limits, "max_budget", over)


def uncounted(bench: Bench) -> str:
    """The provider reports no tokens. The cost is estimated, so that `max_budget` still ends the run, or unknown."""
    free = Spent(0, 0, 0, 0, 0)
    steps = tuple(replace(answer, spent=free) for answer in ENDLESS.scenes[0].answers)
    limits = Limits(max_turns=MAX_TURNS, max_budget=MAX_BUDGET, max_time_s=SAFETY_S)
    result = bench.play(*steps, endless=True, limits=limits)
    expect_outcome(result, Outcome.GUARD)
    cost_usd = result.usage.cost_usd
    expect_that(cost_usd is None or cost_usd > 0, "the cost is 0")
    return f"{result.usage.provenance}: {format_usd(cost_usd, estimated=True)}, stopped by {result.guard}"


def _endless(bench: Bench, limits: Limits, guard: str, over: Callable[[Event], bool]) -> str:
    """Run a model that never stops."""
    with bench.serving(ENDLESS) as server, Watch(bench.folder, bench.worktree / "no-command") as watch:
        result = bench.attempt(limits=limits)
        left = living(bench.folder)
    expect_outcome(result, Outcome.GUARD, guard=guard)
    expect_none(left)
    expect_that(len(server.main) < TOO_MANY, f"{len(server.main)} answers were made")
    breach_at = next((at for at, event in bench.events if over(event)), None)
    if breach_at is None:
        return f"the CLI's own limit ended it after {len(server.main)} answers"
    return _gone((watch.last_at or 0) - breach_at, f"after {len(server.main)} answers")


def _gone(took_s: float, remark: str) -> str:
    expect_that(took_s < GONE_S, f"the last process ended only after {took_s:.1f} s")
    return f"{remark}; all processes ended {max(took_s, 0.0):.1f} s later"


def circles(bench: Bench) -> str:
    """A model repeats the same call. The CLI or a guard stops it, and the attempt does not pass."""
    again = Answer("Again.", (Write("again.txt", "again\n"),))
    result = bench.play(again, endless=True, limits=Limits(max_turns=8, max_time_s=SAFETY_S))
    expect_outcome(result, Outcome.GUARD, Outcome.AGENT_ERROR)
    return f"{result.outcome} after {len(bench.server.main)} answers: {result.reason}"


def silence(bench: Bench) -> str:
    """The model does not answer, so the CLI prints nothing."""
    limits = Limits(silence_s=8.0, max_time_s=SAFETY_S)
    with bench.serving(script(Answer("Too late.", delay_s=90))):
        result = bench.attempt(limits=limits)
        left = living(bench.folder)
    expect_outcome(result, Outcome.GUARD, guard="silence")
    expect_none(left)
    return f"stopped after {result.timings.agent_s:.1f} s"


def breach_in_tool(bench: Bench) -> str:
    """`max_time` is reached while a shell command sleeps."""
    limit_s = IN_TOOL_S
    result, watch = _sleep(bench, None, limit_s)
    if len(watch.seen) < ITS_OWN:  # a busy machine
        limit_s *= 4
        result, watch = _sleep(bench, None, limit_s)
    expect_outcome(result, Outcome.GUARD, guard="max_time")
    return _check(bench, watch, (watch.first_at or 0) + limit_s)


def term(bench: Bench) -> str:
    """The CLI gets SIGTERM while a shell command sleeps."""
    return _signalled(bench, signal.SIGTERM)


def kill(bench: Bench) -> str:
    """The CLI gets SIGKILL while a shell command sleeps."""
    return _signalled(bench, signal.SIGKILL)


def interrupted(bench: Bench) -> str:
    """Ctrl-C while a shell command sleeps."""
    return _end_gump(bench, signal.SIGINT)


def gump_killed(bench: Bench) -> str:
    """Gump itself is killed while a shell command sleeps, and cannot clean up."""
    return _end_gump(bench, signal.SIGKILL)


def _end_gump(bench: Bench, number: signal.Signals) -> str:
    with bench.serving(SLEEPING), Watch(bench.folder, bench.worktree / "started.log") as watch:
        gump = apart.start(bench)
        until = time.monotonic() + SAFETY_S
        while len(watch.seen) < ITS_OWN and gump.poll() is None and time.monotonic() < until:
            time.sleep(POLL_S)
        sent_at = time.monotonic()
        gump.send_signal(number)
        gump.wait()
        while living(bench.folder) and time.monotonic() - sent_at < 2 * GONE_S:
            time.sleep(POLL_S)
    return _check(bench, watch, sent_at)


def _signalled(bench: Bench, number: signal.Signals) -> str:
    result, watch = _sleep(bench, number, SAFETY_S)
    expect_that(watch.sent_at is not None, f"the signal was not sent: {result.outcome}: {result.reason}")
    expect_outcome(result, Outcome.AGENT_ERROR)
    return _check(bench, watch, watch.sent_at or 0)


def _sleep(bench: Bench, number: signal.Signals | None, max_time_s: float) -> tuple[AttemptResult, Watch]:
    begun = bench.worktree / "started.log"
    with bench.serving(SLEEPING), Watch(bench.folder, begun, number) as watch:
        result = bench.attempt(limits=Limits(max_time_s=max_time_s))
    return result, watch


def _check(bench: Bench, watch: Watch, since: float) -> str:
    expect_none(living(bench.folder))
    expect_that(watch.begun_at is not None, "the command did not start")
    expect_that(not any(KEY in line for line in watch.lines), "a command line contains the key")
    expect_that(len(watch.seen) >= ITS_OWN, "the command's own processes were not seen")
    return _gone((watch.last_at or 0) - since, f"{len(watch.seen)} processes")


SCENARIOS: Final = (
    Scenario("turn-limit", "max_turns ends a run that never stops", turn_limit),
    Scenario("token-limit", "max_tokens ends a run that never stops", token_limit),
    Scenario("budget", "max_budget ends a run that never stops", budget),
    Scenario("uncounted", "without reported tokens, the cost is estimated or unknown", uncounted),
    Scenario("circles", "a model that repeats a call is stopped, and the attempt fails", circles),
    Scenario("silence", "gump_silence_timeout ends a run that prints nothing", silence),
    Scenario("time-limit", "max_time during a command: all processes end within 5 s", breach_in_tool),
    Scenario("term", "SIGTERM to the CLI during a command: the attempt fails, and no process is left", term),
    Scenario("interrupted", "Ctrl-C during a command: no process is left", interrupted),
    Scenario("gump-killed", "SIGKILL to gump itself during a command: no process is left", gump_killed),
    Scenario("kill", "SIGKILL to the CLI during a command: the attempt fails, and no process is left", kill),
)
