"""Agents that print their key in every encoding, and logins that the allow-list withholds."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cases.kit import report_text

if TYPE_CHECKING:
    from tests.kits.rogue import Rogue

KEY = "house-SECRET/value+0123456789"
FORMS = """
import base64, urllib.parse
key = os.environ["HOUSE_KEY"]
forms = {
    "plain": key,
    "base64": base64.b64encode(key.encode()).decode(),
    "base64 shifted": base64.b64encode(b"x" + key.encode()).decode(),
    "base64 of a URL": base64.urlsafe_b64encode(b"xx" + key.encode()).decode(),
    "hexadecimal": key.encode().hex(),
    "URL": urllib.parse.quote(key, safe=""),
    "escapes": "".join(f"\\\\u{ord(one):04X}" for one in key),
}
for form in forms.values():
    say("text", text=form)
    print(form, file=sys.stderr)
sys.stdout.write('{"type": "text", "text": "' + forms["escapes"] + '"}\\n')
"""


def encodings_of_the_key() -> dict[str, bytes]:
    data = KEY.encode()
    shifted = base64.b64encode(b"x" + data).decode()
    return {
        "plain": data,
        "base64": base64.b64encode(data)[:-2],
        "base64 shifted": shifted[2:-3].encode(),
        "hexadecimal": data.hex().encode(),
        "URL": KEY.replace("/", "%2F").replace("+", "%2B").encode(),
        "escapes": "".join(f"\\u{ord(one):04X}" for one in KEY).encode(),
    }


def places_of_the_key(folders: list[Path]) -> list[str]:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert files
    return [
        f"{name} in {path}"
        for path in files
        for name, form in encodings_of_the_key().items()
        if form in path.read_bytes()
    ]


@pytest.fixture
def keyed(rogue: Rogue, monkeypatch: pytest.MonkeyPatch) -> Rogue:
    monkeypatch.setenv("HOUSE_KEY", KEY)
    rogue.project.write({"pytest.ini": "[pytest]\ngump_agent_env = HOUSE_KEY\n"})
    rogue.project.commit("settings")
    return rogue


@pytest.mark.parametrize(
    "left", ["", "write('a.txt', forms['base64 shifted']); write('.git/x', key); write('b.log', key)"]
)
def test_no_file_contains_a_key_in_any_encoding(keyed: Rogue, left: str) -> None:
    folder = keyed.project.path
    beside = folder.parent / f"{folder.name}-recording"
    keyed.agent(FORMS + f"write('new.py')\n{left}")
    ran = keyed.run("-v", "-rA", f"--junitxml={beside}.xml", f"--gump-record={beside}")
    assert ran.result.outcome == ("out_of_bounds" if left else "passed")
    text = "\n".join(ran.lines).encode()
    assert [name for name, form in encodings_of_the_key().items() if form in text] == []
    cache = Path(keyed.project.pytester.path.parent)
    assert places_of_the_key([folder / ".gump" / "runs", beside]) == []
    assert [
        name for name, form in encodings_of_the_key().items() if form in beside.with_suffix(".xml").read_bytes()
    ] == []
    slots = [path for path in cache.rglob("worktrees") if path.is_dir()]
    assert places_of_the_key(slots) == []
    if left:
        assert "holds the secret" in report_text(keyed)
        kept = subprocess.run(
            ["git", "show", f"{ran.result.snapshot}:a.txt"], cwd=folder, capture_output=True, check=True
        )
        assert encodings_of_the_key()["base64 shifted"] in kept.stdout


def test_a_failed_login_names_variables_that_were_not_passed(rogue: Rogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "work")
    rogue.agent("say('result', outcome='error', reason='Not logged in: please run login')", ends=False)
    ran = rogue.run()
    assert ran.code == 1
    note = next(note for note in ran.result.notes if "not passed to agents" in note)
    assert "AWS_PROFILE" in note
    assert "gump_agent_env" in note
    assert note in report_text(rogue)
