"""The fixture that users get too, a scratch repository with scripted agents; and the project of most session tests."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings
from pytest_gump.testing import gump_project

from tests.kits.project import project
from tests.kits.saved import saved

__all__ = ["gump_project", "project", "saved"]

# A job in the background starts with SIGINT ignored, and under nohup with SIGHUP ignored. Children inherit that, and
# tests send both signals.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A loaded machine generates input slowly; that is no fault of a test.
settings.register_profile("default", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("default")
