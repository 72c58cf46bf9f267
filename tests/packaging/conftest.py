"""`make test-wheel` builds wheel and sdist and sets GUMP_DIST to their folder. `make test` skips this folder."""

from __future__ import annotations

import os

collect_ignore_glob = [] if "GUMP_DIST" in os.environ else ["test_*.py"]


def pytest_report_header() -> str:
    if collect_ignore_glob:
        return ""
    from tests.packaging.interpreters import INTERPRETERS

    found = [f"{version} {path}" for version, path in INTERPRETERS.items() if path]
    missing = [version for version, path in INTERPRETERS.items() if not path]
    return f"wheel under Python: {', '.join(found)}; not on this machine: {', '.join(missing) or 'none'}"
