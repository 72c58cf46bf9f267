"""Run workflows for AI coding agents as pytest sessions."""

from pytest_gump.engine.decision import Failure, Retry, Stop

__version__ = "0.1.0"
__all__ = ["Failure", "Retry", "Stop", "__version__"]
