"""The fixture that users get too: a scratch repository with agents whose answers are given in Python."""

from __future__ import annotations

import signal

from pytest_gump.testing import gump_project

__all__ = ["gump_project"]

# A job in the background is started with SIGINT ignored, and so would be every child: tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
