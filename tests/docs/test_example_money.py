"""The figures of the example run equal those of its recorded streams in each report."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from jsonschema import Draft202012Validator
from pytest_gump.engine.reporting.report_schema import json_schema

from tests.docs.conftest import CASSETTE, Demo, run

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens", "outputTokens")


def recorded() -> Iterator[dict[str, Any]]:
    """Return the result events of the recorded streams, in the order of the attempts."""
    for take in json.loads((CASSETTE / "index.json").read_text(encoding="utf-8"))["takes"]:
        lines = (CASSETTE / take["folder"] / "stream.ndjson").read_text(encoding="utf-8").splitlines()
        yield from (event for event in map(json.loads, lines) if event["type"] == "result")


def sums() -> tuple[Decimal, int]:
    """Return dollars and tokens. A session reports totals since its start; the cost of each attempt is rounded."""
    last: dict[str, dict[str, Any]] = {}
    usd = Decimal()
    for event in recorded():
        earlier = last.get(event["session_id"], {"total_cost_usd": 0})
        cost_usd = Decimal(str(event["total_cost_usd"])) - Decimal(str(earlier["total_cost_usd"]))
        usd += cost_usd.quantize(Decimal("0.0001"))
        last[event["session_id"]] = event
    exact_usd = sum(Decimal(str(event["total_cost_usd"])) for event in last.values())
    assert abs(usd - exact_usd) < Decimal("0.0005")
    tokens = sum(used[kind] for event in last.values() for used in event["modelUsage"].values() for kind in KINDS)
    return usd, tokens


def test_totals_equal_the_sums_over_the_recorded_streams(demo: Demo) -> None:
    report = json.loads(run(demo.project, "gump", "report", "--json").stdout)
    assert list(Draft202012Validator(json_schema(strict=True)).iter_errors(report)) == []
    usd, tokens = sums()
    assert usd > Decimal("0.3")
    assert Decimal(str(report["totals"]["cost"]["usd"])) == usd
    assert report["totals"]["cost"]["provenance"] == "reported"
    assert report["totals"]["tokens"]["total"] == tokens
    assert sum(Decimal(str(one["cost"]["usd"])) for one in report["agents"]) == usd
    written = (
        ET.parse(demo.project / "j.xml").getroot().findall(".//testcase/properties/property[@name='gump.cost_usd']")
    )
    assert sum(Decimal(one.attrib["value"]) for one in written) == usd
