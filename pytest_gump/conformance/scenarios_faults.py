"""The model's service fails: no attempt may count as a success or run forever."""

from __future__ import annotations

import os
import re
import socket
from functools import partial
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.registry import resolve
from pytest_gump.conformance.model.script import Answer, Fault, script
from pytest_gump.conformance.scenario import Scenario, expect_none, expect_outcome, expect_passed, expect_that
from pytest_gump.conformance.scenarios_work import WORK
from pytest_gump.conformance.watch import living
from pytest_gump.order import Limits, Outcome

if TYPE_CHECKING:
    from pytest_gump.conformance.bench import Bench
    from pytest_gump.conformance.model.script import Script
    from pytest_gump.order import AttemptResult

WORDS: Final = "the scripted model refuses"
OVERLOAD: Final = {
    "claude": Fault(529, message="Overloaded"),
    "codex": Fault(503, message="Our servers are currently overloaded. Please try again later."),
    "gemini": Fault(503, message="The model is overloaded. Please try again later."),
    "qwen": Fault(503, message="The engine is currently overloaded, please try again later"),
    "opencode": Fault(503, message="The engine is currently overloaded, please try again later"),
    "copilot": Fault(503, message="Our servers are currently overloaded. Please try again later."),
}
"""The error of each provider."""
SLACK_S: Final = 5.0
PATIENCE_S: Final = 60.0
SILENCE_S: Final = {"qwen": 15.0, "opencode": 25.0}
"""Limit of silence for CLIs that start slowly on a busy machine, before they send the first request."""


def failing(status: int, bench: Bench) -> str:
    result = _fail(bench, script(*WORK, fault=Fault(status, message=WORDS)))
    if result.outcome is Outcome.GUARD:
        return _remark(result)
    wanted = Outcome.QUOTA if status == 429 else Outcome.AGENT_ERROR
    expect_outcome(result, wanted)
    is_named = WORDS in result.reason or str(status) in result.reason
    # Codex reports a 500 as high demand.
    is_named = is_named or (status == 500 and not result.reason.startswith(("exit code", "ended by")))
    expect_that(is_named, f"not in the CLI's own words: {result.reason}")
    return _remark(result)


def overload(bench: Bench) -> str:
    """The provider is overloaded: another attempt of the same agent does not help."""
    fault = OVERLOAD[bench.subject.cli]
    result = _fail(bench, script(*WORK, fault=fault))
    if result.outcome is Outcome.GUARD:
        return _remark(result)
    expect_outcome(result, Outcome.QUOTA)
    is_named = re.search(rf"overloaded|at capacity|\b{fault.status}\b", result.reason, re.IGNORECASE)
    expect_that(is_named, f"not in the CLI's own words: {result.reason}")
    return _remark(result)


def refused(bench: Bench) -> str:
    """No server listens at the model's address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    return _remark(_fail(bench, script(*WORK), url=url))


def cut(bench: Bench) -> str:
    """Every stream ends in the middle of a sentence."""
    return _remark(_fail(bench, script(Answer("This sentence will not be finished, ever.", cut=True), endless=True)))


def no_key(bench: Bench) -> str:
    """The CLI reports the missing login without retries. The long limit is only for a slow start."""
    result = _fail(bench, script(*WORK), without=bench.subject.key_names, patience_s=PATIENCE_S)
    expect_outcome(result, Outcome.AGENT_ERROR)
    return _remark(result)


def unknown_model(bench: Bench) -> str:
    provider = "scripted/" if bench.subject.cli == "opencode" else ""
    fault = Fault(404, message="the model no-such-model does not exist")
    result = _fail(bench, script(*WORK, fault=fault), agent=f"{bench.subject.cli}:{provider}no-such-model")
    if result.outcome is not Outcome.GUARD:
        expect_outcome(result, Outcome.AGENT_ERROR)
    return _remark(result)


def _fail(
    bench: Bench,
    played: Script,
    *,
    url: str | None = None,
    without: tuple[str, ...] = (),
    agent: str | None = None,
    patience_s: float | None = None,
) -> AttemptResult:
    """Run an attempt that must not pass. It must end by itself or at the time limit."""
    patience_s = patience_s or bench.patience_s
    limits = Limits(max_time_s=patience_s)
    with bench.serving(played, url=url, without=without):
        result = bench.attempt(limits=limits, agent=agent or bench.subject.agent)
        left = living(bench.folder)
    expect_outcome(result, Outcome.AGENT_ERROR, Outcome.QUOTA, Outcome.GUARD)
    expect_that(result.outcome is not Outcome.GUARD or result.guard == "max_time", f"another guard: {result.reason}")
    expect_that(result.reason, "no reason is given")
    expect_that(result.timings.agent_s < patience_s + SLACK_S, f"ended only after {result.timings.agent_s:.1f} s")
    expect_none(left)
    return result


def _remark(result: AttemptResult) -> str:
    took = f"{result.timings.agent_s:.1f} s"
    if result.outcome is Outcome.GUARD:
        return f"kept trying, and was stopped after {took}"
    return f"{result.outcome} after {took}: {result.reason}"


def retry_after(bench: Bench) -> str:
    """The provider is at its limit and names a time: if the CLI waits, the silence does not end it as a guard."""
    fault = Fault(429, message=f"Rate limit reached: {WORDS}", retry_after_s=120)
    with bench.serving(script(*WORK, fault=fault)):
        limits = Limits(silence_s=SILENCE_S.get(bench.subject.cli, 8.0), max_time_s=PATIENCE_S)
        result = bench.attempt(limits=limits)
        left = living(bench.folder)
    expect_outcome(result, Outcome.QUOTA)
    expect_none(left)
    return _remark(result)


def one_failure(bench: Bench) -> str:
    """The CLI itself handles a single 500."""
    result = bench.play(*WORK, fault=Fault(500, times=1, message=WORDS))
    expect_passed(result)
    return f"{result.timings.agent_s:.1f} s"


def not_installed(bench: Bench) -> str:
    empty = bench.folder / "empty"
    empty.mkdir()
    with bench.serving(script(*WORK)):
        os.environ["PATH"] = str(empty)
        missing = resolve(bench.subject.agent).missing()
        os.environ["PATH"] = f"{empty}:/usr/bin:/bin"
        if resolve(bench.subject.agent).missing() is None:
            return f"reported: {missing}"  # the CLI is also in a system folder
        result = bench.attempt()
    expect_that(missing, "a missing program is not reported")
    expect_outcome(result, Outcome.AGENT_ERROR)
    return result.reason


SCENARIOS: Final = (
    *(
        Scenario(f"status-{status}", f"the model's service answers {status} to everything", partial(failing, status))
        for status in (400, 401, 429, 500)
    ),
    Scenario("overload", "the model's service is overloaded", overload),
    Scenario("retry-after", "the account is at its limit, and the service names the end", retry_after),
    Scenario("one-failure", "a single 500 does not end the run", one_failure),
    Scenario("refused", "no server listens at the model's address", refused),
    Scenario("cut", "every answer of the model is cut off", cut),
    Scenario("unknown-model", "the model does not exist", unknown_model),
    Scenario("no-key", "the CLI is not logged in", no_key),
    Scenario("not-installed", "the program is not installed", not_installed),
)
