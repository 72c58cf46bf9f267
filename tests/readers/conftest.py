"""`make test-readers` installs the readers and sets GUMP_READERS. `make test` skips this folder."""

from __future__ import annotations

import os

collect_ignore_glob = [] if "GUMP_READERS" in os.environ else ["test_*.py"]
