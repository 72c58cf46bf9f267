"""Run workflows for AI coding agents as pytest sessions."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_gump.engine.schedule.decision import Failure, Retry, Stop
    from pytest_gump.gates.view import StepView

__version__ = "0.1.0"
__all__ = ["Failure", "Retry", "StepView", "Stop", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the others when they are asked for: every pytest run imports this package."""
    if name == "StepView":
        from pytest_gump.gates.view import StepView

        return StepView
    if name in __all__:
        from pytest_gump.engine.schedule import decision

        return getattr(decision, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
