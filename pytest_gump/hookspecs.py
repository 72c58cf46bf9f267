"""Hooks that a conftest.py or a plugin may implement.

A conftest that must also work where pytest-gump is not installed marks them with
`@pytest.hookimpl(optionalhook=True)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_gump.agents.base import Agent
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.schedule.decision import Failure, Retry, Stop
    from pytest_gump.gates.view import StepView
    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.workflow.model import Step


@pytest.hookspec
def pytest_gump_gates() -> Mapping[str, Callable[[StepView], None]] | None:
    """Give custom gates: name to function.

    Called once for each spec, on the controller before the workflow is read (so that it may name them) and on the
    process that executes its steps. All answers are merged; None adds nothing. A gate is a function that takes the
    read-only view of the step and asserts; it runs in a child process with the gate timeout::

        def pytest_gump_gates():
            return {"no_todo": no_todo}

        def no_todo(step):
            assert not step.diff.added_lines_matching("TODO"), "finish what you started"
    """


@pytest.hookspec
def pytest_gump_agents() -> Mapping[str, Agent | str] | None:
    """Give agents: name to adapter, or to the name of a known agent.

    Called once for each spec, on the controller before the workflow is read and on the process that executes its
    steps. All answers are merged; None adds nothing::

        def pytest_gump_agents():
            return {"fast": "claude-haiku"}
    """


@pytest.hookspec(firstresult=True)
def pytest_gump_retry(step: Step, path: str, failures: Sequence[Failure]) -> Retry | Stop | None:
    """Decide what follows a failed attempt.

    Called on the controller after every failure of a step or group that its workflow's policy may answer; the first
    answer that is not None wins, None leaves it to the workflow's own policy. `path` is the step's address in the
    run (`build::impl[item-2]`), `failures` its failures that count towards `retry`, the newest last. Limits bind the
    answer: a `Retry` when `retry` is used up, or when the money is spent, does not start another attempt::

        def pytest_gump_retry(step, failures):
            if failures[-1].gate == "compile":
                return Retry(agent=step.agent)
    """


@pytest.hookspec
def pytest_gump_attempt_started(order: Order) -> None:
    """Called when an attempt starts.

    It is called on the controller, after the ledger has the attempt and before the agent starts. The return value is
    ignored::

        def pytest_gump_attempt_started(order):
            print(order.step, order.attempt, order.agent)
    """


@pytest.hookspec
def pytest_gump_attempt_finished(order: Order, result: AttemptResult) -> None:
    """Called when an attempt has ended.

    It is called on the controller, after the ledger has the result and before what follows is decided. The return
    value is ignored::

        def pytest_gump_attempt_finished(order, result):
            print(order.step, result.outcome, result.usage.cost_usd)
    """


@pytest.hookspec
def pytest_gump_run_finished(run: RunRecord) -> None:
    """Called when a run has ended, passed or not.

    It is called on the controller, once for each run, after its last ledger event; `run.status` is `passed`, `failed`
    or `cancelled`. The return value is ignored::

        def pytest_gump_run_finished(run):
            print(run.run_id, run.status, run.total.cost_usd)
    """
