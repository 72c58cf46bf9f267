"""The figures of the example's run are those of its recorded streams, to the cent, in every report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator
from pytest_gump.engine.reporting.report_schema import json_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parents[2] / "examples" / "timesheet"
CASSETTE = EXAMPLE / "cassette"
GUMP = "import sys; from pytest_gump.cli.program import main; sys.exit(main(sys.argv[1:]))"
KINDS = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens", "outputTokens")


def recorded() -> Iterator[dict[str, Any]]:
    """The result events of the recorded streams, in the order of the attempts."""
    for take in json.loads((CASSETTE / "index.json").read_text(encoding="utf-8"))["takes"]:
        lines = (CASSETTE / take["folder"] / "stream.ndjson").read_text(encoding="utf-8").splitlines()
        yield from (event for event in map(json.loads, lines) if event["type"] == "result")


def sums() -> tuple[Decimal, int]:
    """Dollars and tokens: what a session reports is the sum since it began, so its last result is what counts."""
    last = {event["session_id"]: event for event in recorded()}
    usd = sum((Decimal(str(event["total_cost_usd"])) for event in last.values()), Decimal())
    tokens = sum(used[kind] for event in last.values() for used in event["modelUsage"].values() for kind in KINDS)
    return usd, tokens


def call(project: Path, *words: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTEST_"))}
    done = subprocess.run(
        words,
        cwd=project,
        env=clean | {"XDG_CACHE_HOME": str(project.parent / "cache"), "HOME": str(project.parent)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_totals_equal_the_sums_over_the_recorded_streams(tmp_path: Path) -> None:
    project = tmp_path / "timesheet"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("cassette", "__pycache__", ".*_cache"))
    user = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    call(project, "git", "init", "--quiet")
    call(project, "git", "add", "--all")
    call(project, "git", *user, "commit", "--quiet", "--message=start")
    options = ("--gump-workflow=tdd", "spec.md", f"--gump-replay={CASSETTE}", "--junitxml=j.xml")
    call(project, sys.executable, "-m", "pytest", *options)
    report = json.loads(call(project, sys.executable, "-c", GUMP, "report", "--json"))
    assert list(Draft202012Validator(json_schema(strict=True)).iter_errors(report)) == []
    usd, tokens = sums()
    assert usd > Decimal("0.3")
    assert Decimal(str(report["totals"]["cost"]["usd"])) == usd
    assert report["totals"]["cost"]["provenance"] == "reported"
    assert report["totals"]["tokens"]["total"] == tokens
    assert sum(Decimal(str(one["cost"]["usd"])) for one in report["agents"]) == usd
    written = ET.parse(project / "j.xml").getroot().findall(".//testcase/properties/property[@name='gump.cost_usd']")
    assert sum(Decimal(one.attrib["value"]) for one in written) == usd
