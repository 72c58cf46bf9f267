"""Run workflows for AI coding agents as pytest sessions."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_gump.agents.base import (
        Agent,
        Command,
        Ending,
        Event,
        Note,
        SessionRef,
        Started,
        StreamReader,
        Task,
        Text,
        ToolCall,
        ToolResult,
        Turn,
        UsageSeen,
    )
    from pytest_gump.agents.cassettes.neutral import NeutralReader
    from pytest_gump.agents.prices import estimated_usage
    from pytest_gump.agents.shell.permissions import Permissions, Shell
    from pytest_gump.agents.usage import Tokens, Usage
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.schedule.decision import Failure, Retry, Stop
    from pytest_gump.gates.view import Diff, DiffLine, StepView
    from pytest_gump.order import AttemptResult, Order, Outcome
    from pytest_gump.workflow.model import Step

__version__ = "0.1.0"
__all__ = [
    "Agent",
    "AttemptResult",
    "Command",
    "Diff",
    "DiffLine",
    "Ending",
    "Event",
    "Failure",
    "NeutralReader",
    "Note",
    "Order",
    "Outcome",
    "Permissions",
    "Retry",
    "RunRecord",
    "SessionRef",
    "Shell",
    "Started",
    "Step",
    "StepView",
    "Stop",
    "StreamReader",
    "Task",
    "Text",
    "Tokens",
    "ToolCall",
    "ToolResult",
    "Turn",
    "Usage",
    "UsageSeen",
    "__version__",
    "estimated_usage",
]

_ELSEWHERE = {
    "AttemptResult": "order",
    "Diff": "gates.view",
    "DiffLine": "gates.view",
    "Failure": "engine.schedule.decision",
    "NeutralReader": "agents.cassettes.neutral",
    "Order": "order",
    "Outcome": "order",
    "Permissions": "agents.shell.permissions",
    "Retry": "engine.schedule.decision",
    "RunRecord": "engine.record.records",
    "Shell": "agents.shell.permissions",
    "Step": "workflow.model",
    "StepView": "gates.view",
    "Stop": "engine.schedule.decision",
    "Tokens": "agents.usage",
    "Usage": "agents.usage",
    "estimated_usage": "agents.prices",
}
"""Modules of public names. All others are in `agents.base`."""


def __getattr__(name: str) -> Any:
    """Import public names on first use, because every pytest run imports this package."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'agents.base')}"), name)
