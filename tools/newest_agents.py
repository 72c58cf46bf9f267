"""Run the conformance suite with the pinned and with the newest agent CLIs, and print what they do differently.

    tools/newest_agents.py PINNED NEWEST [PYTEST OPTION ...]

PINNED and NEWEST are folders that `make test-agents` and `make test-agents-newest` install. Only CLIs whose versions
differ are tested. The exit code is 1 if a test has another result or another remark. Times are not compared.
"""

from __future__ import annotations

import json
import os
import re
import subprocess  # runs pytest
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pytest_gump.agents.family import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]
SUITE = ROOT / "tests" / "conformance"
PACKAGES = {
    cli: family.program.get.split()[-1] for cli, family in FAMILIES.items() if family.program.tested is not None
}
"""The npm packages of the tested CLIs: the last word of `npm install -g PACKAGE`."""
TESTS = ("test_scenarios.py", "test_tdd.py", "test_record.py", "test_workflows.py", "test_live.py")
_CHANCE = re.compile(r"\d+(?:\.\d+)? s\b|\b\d+ processes|127\.0\.0\.1:\d+|/conformance/[\w-]+")
"""Times, ports and folders, which differ between two runs of the same version."""


def versions(folder: Path) -> dict[str, str]:
    """Return the versions of the installed CLIs."""
    files = {cli: folder / "npm" / "node_modules" / name / "package.json" for cli, name in PACKAGES.items()}
    return {cli: json.loads(file.read_bytes())["version"] for cli, file in files.items() if file.exists()}


def results(junit: str) -> dict[str, str]:
    """Return the result of each test in a JUnit XML report: the finding of a scenario, or the outcome."""
    cases = ET.fromstring(junit).iter("testcase")  # noqa: S314 - pytest has written it
    return {_label(case.get("name", "")): _result(case) for case in cases}


def _label(name: str) -> str:
    """`test_the_scenario_holds[claude-basic]` is the scenario `claude basic`."""
    found = re.fullmatch(r"test_the_scenario_holds\[(\w+)-(.+)\]", name)
    return f"{found[1]} {found[2]}" if found else name


def _result(case: Any) -> str:
    finding = case.find("properties/property[@name='finding']")
    if finding is not None:
        return str(finding.get("value"))
    failure = next((case.find(kind) for kind in ("failure", "error") if case.find(kind) is not None), None)
    return "passed" if failure is None else f"failed: {failure.get('message', '').partition(chr(10))[0]}"


def compare(pinned: Mapping[str, str], newest: Mapping[str, str]) -> Iterator[str]:
    """Yield a paragraph for each test whose results differ in more than times."""
    for test in {**pinned, **newest}:
        before, after = pinned.get(test, "did not run"), newest.get(test, "did not run")
        if _CHANCE.sub("", before) != _CHANCE.sub("", after):
            yield f"{test}\n  pinned: {before}\n  newest: {after}"


def run(folder: Path, skipped: Sequence[str], options: Sequence[str]) -> dict[str, str]:
    with TemporaryDirectory() as scratch:
        report = Path(scratch, "report.xml")
        words = [sys.executable, "-m", "pytest", f"--junitxml={report}", *options]
        words += ["-k", f"not ({' or '.join(skipped)})"] if skipped else []
        environment = {**os.environ, "GUMP_AGENTS": str(folder)}
        subprocess.run([*words, *(str(SUITE / name) for name in TESTS)], cwd=ROOT, env=environment, check=False)
        return results(report.read_text(encoding="utf-8"))


def main(arguments: Sequence[str]) -> int:
    pinned, newest = (Path(argument).resolve() for argument in arguments[:2])
    before, after = versions(pinned), versions(newest)
    changed = [cli for cli in before if cli in after and before[cli] != after[cli]]
    left_out = [cli for cli in PACKAGES if cli not in changed]
    if not changed:
        print("the pinned versions are the newest")
        return 0
    one, other = (run(folder, left_out, arguments[2:]) for folder in (pinned, newest))
    differences = list(compare(one, other))
    names = ", ".join(f"{cli} {before[cli]} -> {after[cli]}" for cli in changed)
    print(f"\n{names}: {len(differences)} of {len(other)} tests behave differently")
    print(*(f"\n{difference}" for difference in differences), sep="\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
