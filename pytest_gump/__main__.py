"""Run the `gump` command with `python -m pytest_gump`."""

from __future__ import annotations

import sys

from pytest_gump.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
