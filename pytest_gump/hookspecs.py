"""Hooks that a conftest.py or a plugin may implement.

If a conftest must also work without pytest-gump, mark its hooks with `@pytest.hookimpl(optionalhook=True)`.
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
    """Return custom gates: a dict of names and functions.

    Called once for each spec: on the controller before it reads the workflow, so that the workflow can name the gates,
    and in the process that executes the steps. The dicts of all plugins are merged; None adds nothing. A gate function
    gets a read-only view of the step and makes assertions. It runs in a child process with `gump_gate_timeout`::

        def pytest_gump_gates():
            return {"no_todo": no_todo}

        def no_todo(step):
            assert not step.diff.added_lines_matching("TODO"), "finish what you started"
    """


@pytest.hookspec
def pytest_gump_agents() -> Mapping[str, Agent | str] | None:
    """Return agents: a dict of names and adapters, or of names and names of known agents.

    Called once for each spec: on the controller before it reads the workflow, and in the process that executes the
    steps. The dicts of all plugins are merged; None adds nothing::

        def pytest_gump_agents():
            return {"fast": "claude-haiku"}
    """


@pytest.hookspec(firstresult=True)
def pytest_gump_retry(step: Step, path: str, failures: Sequence[Failure]) -> Retry | Stop | None:
    """Decide how to handle a failed attempt.

    Called on the controller after each failure of a step or group that the workflow's `on_failure` could handle. The
    first result that is not None is used. If all are None, the workflow's `on_failure` decides. `path` is the path of
    the step in the run (`build::impl[item-2]`). `failures` are its failures that count towards `retry`, newest last.
    Limits still apply: a `Retry` starts no attempt if `retry` is used up or the budget is spent::

        def pytest_gump_retry(step, failures):
            if failures[-1].gate == "compile":
                return Retry(agent=step.agent)
    """


@pytest.hookspec
def pytest_gump_attempt_started(order: Order) -> None:
    """Called on the controller when an attempt starts.

    The attempt is already written to the ledger, and its agent is not started yet. The return value is ignored::

        def pytest_gump_attempt_started(order):
            print(order.step, order.attempt, order.agent)
    """


@pytest.hookspec
def pytest_gump_attempt_finished(order: Order, result: AttemptResult) -> None:
    """Called on the controller when an attempt has ended.

    The result is already written to the ledger, and the next step is not chosen yet. The return value is ignored::

        def pytest_gump_attempt_finished(order, result):
            print(order.step, result.outcome, result.usage.cost_usd)
    """


@pytest.hookspec
def pytest_gump_run_finished(run: RunRecord) -> None:
    """Called on the controller once for each run when it has ended, after its last ledger event.

    `run.status` is `passed`, `failed`, `awaiting` or `cancelled`. The return value is ignored::

        def pytest_gump_run_finished(run):
            print(run.run_id, run.status, run.total.cost_usd)
    """
