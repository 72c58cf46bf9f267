"""Independent readers of the JUnit XML: two packages from npm, and the schema that pytest names for xunit2.

`make test-readers` installs them and sets GUMP_READERS to their folder. (junitparser: tests/reporters.)
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from tests.kits.workflows import BROKEN

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

READERS = Path(os.environ["GUMP_READERS"])
NASTY = "\x1b[31mred\x1b[0m\x00 ]]> <b> & é 漢 'quoted'"
UNPACK = (
    "import lz from 'lzutf8'; import fs from 'fs'; const html = fs.readFileSync(process.argv[2], 'utf8');"
    """
const [{contents}] = JSON.parse(html.match(/window\\.files = (\\[.*\\])/)[1]);
process.stdout.write(lz.decompress(contents, {inputEncoding: 'Base64'}));
"""
)
TO_JSON = """import {parse} from 'junit2json'; import fs from 'fs';
process.stdout.write(JSON.stringify(await parse(fs.readFileSync(process.argv[2]))));
"""


@pytest.fixture
def written(gump_project: GumpProject) -> Path:
    """Return the XML of a session of four runs: two workflows with two specs, one passes after retries and one fails."""
    project = gump_project
    for name in ("good", "bad"):
        project.workflow(name, WORKFLOW.replace("NAME", name).replace("{retry}", "3" if name == "good" else "2"))
    project.write({"app.py": "value = 1\n", "other.md": "# Other\n"})
    project.commit()
    project.answer("impl", writes={"nasty.txt": f"{NASTY}\n", "new.py": BROKEN}, cost_usd=0.1)
    project.answer("impl", attempt=2, exit_code=1, outcome="agent_error", reason=NASTY, cost_usd=0.2)
    project.answer("impl", attempt=3, writes={"new.py": "x = 1\n"}, cost_usd=0.4)
    result = project.run("good", "--gump-workflow=bad", "other.md", "--junitxml=junit.xml")
    result.assert_outcomes(passed=4, failed=2, skipped=2)
    return project.path / "junit.xml"


WORKFLOW = """\
name: NAME
steps:
  - name: impl
    agent: claude-haiku
    prompt: Do it.
    gate: [compile]
    on_failure: {retry: {retry}, strategy: [same]}
  - name: check
    gate: [compile]
"""


def node(program: str, *words: str | Path) -> str:
    script = READERS / "program.mjs"
    script.write_text(program, encoding="utf-8")
    done = subprocess.run(["node", script, *words], stdout=subprocess.PIPE, encoding="utf-8", check=True)
    return done.stdout


def xunit_viewer(junit: Path) -> tuple[Path, str]:
    """Return the HTML page, and the report as text for a terminal."""
    page = junit.with_suffix(".html")
    program = READERS / "node_modules" / ".bin" / "xunit-viewer"
    words = [str(program), "-r", str(junit), "-o", str(page), "-c", "-C", "false", "-n", "true"]
    done = subprocess.run(words, stdout=subprocess.PIPE, encoding="utf-8", check=True)
    return page, done.stdout


def plain(element: ET.Element) -> dict[str, Any]:
    """Return the element in the form of junit2json."""
    found: dict[str, Any] = {name: _value(name, value) for name, value in element.attrib.items()}
    if element.text and element.text.strip():
        found["inner"] = element.text
    for child in element:
        content: Any = child.text if child.tag.startswith("system-") else plain(child)
        if child.tag == "properties":
            found[child.tag] = [plain(one) for one in child]
        else:
            found.setdefault(child.tag, []).append(content)
    return found


def _value(name: str, value: str) -> str | float:
    return float(value) if name in {"errors", "failures", "skipped", "tests", "time"} else value


def test_xunit_viewer_keeps_the_xml_and_shows_each_step(written: Path) -> None:
    page, console = xunit_viewer(written)
    root = ET.parse(written).getroot()
    assert ET.canonicalize(node(UNPACK, page)) == ET.canonicalize(ET.tostring(root, encoding="unicode"))
    cases = root.findall(".//testcase")
    assert len(re.findall(r"^ *\S (impl|check) time=", console, re.MULTILINE)) == len(cases) == 8
    for failure in root.findall(".//testcase/failure"):
        assert str(failure.text).splitlines()[0] in console
    assert "\n2 failure, 2 skipped, 4 passed\n" in console


def test_junit2json_reads_each_element(written: Path) -> None:
    read = json.loads(node(TO_JSON, written))
    expected = plain(ET.parse(written).getroot())
    assert comparable(read) == comparable(expected)


def comparable(part: Any) -> Any:
    """Convert text that looks like a number: junit2json does that with properties."""
    if isinstance(part, list):
        return [comparable(one) for one in part]
    if isinstance(part, dict):
        return {name: comparable(one) for name, one in part.items()}
    try:
        return float(part)
    except (TypeError, ValueError):
        return str(part).strip()


def test_the_schema_of_xunit2_allows_everything_but_properties_of_testcases(written: Path) -> None:
    import xmlschema

    schema = xmlschema.XMLSchema(str(READERS / "junit-10.xsd"))
    root = ET.parse(written).getroot()
    assert {error.path for error in schema.iter_errors(copy.deepcopy(root))} != set()
    for case in root.iter("testcase"):
        assert {child.tag for child in case} <= {
            "properties",
            "failure",
            "skipped",
            "system-out",
        }
        for properties in case.findall("properties"):  # pytest also writes them there, for record_property
            case.remove(properties)
    assert list(schema.iter_errors(root)) == []
