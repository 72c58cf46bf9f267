from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.agents.cassettes.cassette import (
    Cassette,
    Take,
    create,
    install,
    label_of,
    portable,
    staged,
    write_take,
)
from pytest_gump.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_recording_is_a_folder_of_readable_files(tmp_path: Path) -> None:
    recording = write_take(
        tmp_path,
        step="build::impl[item-2]",
        item="item-2",
        attempt=3,
        agent="claude-haiku",
        model="claude-haiku-4-5",
        prompt="Do it.\n",
        stream=[{"type": "turn"}, b'{"type": "note"}\n', '{"type": "result"}'],
        pauses_s=[0.5, 0, 1],
        exit_code=1,
        stderr="oops\n",
        patch=b"diff --git \xff\n",
        files={"src/a.py": "x = 1\n", "empty.txt": ""},
        delete=["old.py"],
        out={"plan.json": "[]"},
    )
    folder = tmp_path / "01-build-impl-item-2-a3"
    assert recording.folder == folder.name
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert contents == {
        "stream.ndjson": b'{"type": "turn"}\n{"type": "note"}\n{"type": "result"}\n',
        "timing.json": b'{\n  "pauses_s": [\n    0.5,\n    0,\n    1\n  ]\n}\n',
        "exit.json": b'{\n  "exit_code": 1\n}\n',
        "stderr.txt": b"oops\n",
        "prompt.md": b"Do it.\n",
        "tree.patch": b"diff --git \xff\n",
        "files/src/a.py": b"x = 1\n",
        "files/empty.txt": b"",
        "delete.json": b'[\n  "old.py"\n]\n',
        "out/plan.json": b"[]",
    }


def test_the_index_is_readable_json(tmp_path: Path) -> None:
    write_take(tmp_path, step="impl", agent="claude-opus", prompt="é")
    assert json.loads((tmp_path / "index.json").read_text()) == {
        "version": 1,
        "takes": [
            {
                "step": "impl",
                "item": None,
                "attempt": 1,
                "agent": "claude-opus",
                "cli": "replay",
                "model": None,
                "prompt_sha256": hashlib.sha256("é".encode()).hexdigest(),
                "folder": "01-impl-a1",
            }
        ],
    }


def test_written_recordings_are_found_by_step_and_attempt(tmp_path: Path) -> None:
    written = [write_take(tmp_path, step="build::impl[item-1]", item="item-1", attempt=number) for number in (1, 2)]
    cassette = Cassette.open(tmp_path)
    assert cassette.takes == tuple(written)
    assert cassette.find("build::impl[item-1]", "item-1", 2) == (written[1],)
    assert cassette.find("build::impl[item-1]", "item-1", 3) == ()
    assert cassette.attempts("build::impl[item-1]", "item-1") == [1, 2]
    assert cassette.labels() == ["build::impl[item-1]"]


def test_a_recording_may_name_its_item_outside_the_step_name(tmp_path: Path) -> None:
    recording = write_take(tmp_path, step="build::impl", item="item-1")
    assert Cassette.open(tmp_path).find("build::impl[item-1]", "item-1", 1) == (recording,)
    assert label_of("build::impl", None) == "build::impl"
    replanned = "build::impl--replan[item-1]::plan"
    assert label_of(replanned, "item-1") == replanned


def test_a_second_write_replaces_the_first(tmp_path: Path) -> None:
    first = write_take(tmp_path, step="impl", files={"a": "1"}, prompt="old")
    write_take(tmp_path, step="tests")
    again = write_take(tmp_path, step="impl", files={"b": "2"})
    cassette = Cassette.open(tmp_path)
    assert again.folder == first.folder
    assert [recording.step for recording in cassette.takes] == ["impl", "tests"]
    assert not (tmp_path / first.folder / "files" / "a").exists()
    assert cassette.prompt(again) is None


def test_each_agent_has_its_own_recording(tmp_path: Path) -> None:
    takes = [write_take(tmp_path, step="impl", agent=agent) for agent in ("claude-haiku", "claude-opus")]
    assert Cassette.open(tmp_path).find("impl", None, 1) == tuple(takes)
    assert takes[0].folder != takes[1].folder


def test_a_step_name_with_special_characters_gets_a_plain_folder_name(tmp_path: Path) -> None:
    assert write_take(tmp_path, step="../Größe: x::日本").folder == "01-gr-e-x-a1"
    assert write_take(tmp_path, step="日本").folder == "02-step-a1"


def index_entry(**changes: Any) -> dict[str, Any]:
    return {"step": "impl", "attempt": 1, "folder": "one", **changes}


def test_an_index_entry_written_by_hand_needs_three_keys(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text(json.dumps({"version": 1, "takes": [index_entry()]}))
    assert Cassette.open(tmp_path).takes == (Take("impl", None, 1, "", "replay", None, "", "one"),)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("{", "not the index of a cassette of version 1"),
        ('{"version": 2, "takes": []}', "not the index of a cassette of version 1"),
        ('{"version": 1, "takes": {}}', "'takes' must be a list"),
        ('{"version": 1, "takes": [3]}', "recording 1: must be an object"),
        (json.dumps({"version": 1, "takes": [index_entry(step="")]}), "recording 1: needs 'step'"),
        (json.dumps({"version": 1, "takes": [index_entry(attempt=0)]}), "recording 1: needs 'step'"),
        (
            json.dumps({"version": 1, "takes": [index_entry(), index_entry(folder="../x")]}),
            "recording 2: 'folder' must be",
        ),
        (json.dumps({"version": 1, "takes": [index_entry(folder="..")]}), "recording 1: 'folder' must be a plain name"),
    ],
)
def test_an_error_in_the_index_names_the_file_and_the_entry(tmp_path: Path, index: str, message: str) -> None:
    (tmp_path / "index.json").write_text(index)
    with pytest.raises(ConfigError) as caught:
        Cassette.open(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'index.json'}: ")
    assert message in str(caught.value)


def test_a_folder_without_an_index_is_not_a_cassette(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not a cassette: No such file or directory: index\.json"):
        Cassette.open(tmp_path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../b", ""])
def test_a_recording_cannot_name_paths_outside_the_worktree(tmp_path: Path, name: str) -> None:
    every: list[dict[str, Any]] = [{"files": {name: "x"}}, {"delete": [name]}, {"out": {name: "x"}}]
    for changes in every:
        with pytest.raises(ConfigError, match="paths in a cassette must be inside the worktree"):
            write_take(tmp_path, step="impl", **changes)
    assert not (tmp_path / "index.json").exists()


@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_path_of_the_slot_is_replaced_in_a_line(tmp_path: Path, ascii_only: bool) -> None:
    slot = tmp_path / 'odd "name" é'
    line = json.dumps({"cwd": str(slot), "text": f"in {slot}/a.py"}, ensure_ascii=ascii_only).encode()
    assert json.loads(portable(line, slot)) == {"cwd": "{{worktree}}", "text": "in {{worktree}}/a.py"}


# -- recording attempts ---------------------------------------------------------------------------------------------


def recorded(attempt: int = 1, agent: str = "claude-haiku") -> Take:
    return Take("impl", None, attempt, agent, "claude", None, "", "", resumed=attempt > 1)


def add(cassette: Path, recording: Take, text: str = "{}\n", *, may_replace: bool = False) -> Take:
    with staged(cassette) as folder:
        (folder / "stream.ndjson").write_text(text, encoding="utf-8")
        return install(cassette, recording, folder, may_replace=may_replace)


def test_a_recording_is_replaced_only_if_that_is_allowed(tmp_path: Path) -> None:
    add(tmp_path, recorded(), "first\n")
    with pytest.raises(ConfigError, match="attempt 1 of impl by claude-haiku is already recorded"):
        add(tmp_path, recorded(), "second\n")
    assert (tmp_path / "01-impl-a1" / "stream.ndjson").read_text() == "first\n"
    add(tmp_path, recorded(), "third\n", may_replace=True)
    assert (tmp_path / "01-impl-a1" / "stream.ndjson").read_text() == "third\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01-impl-a1", "index.json"]


def interrupt(cassette: Path) -> None:
    with staged(cassette) as folder:
        (folder / "stream.ndjson").write_text("half a li", encoding="utf-8")
        raise KeyboardInterrupt


def test_an_interrupted_recording_leaves_no_files(tmp_path: Path) -> None:
    add(tmp_path, recorded())
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01-impl-a1", "index.json"]
    assert len(Cassette.open(tmp_path).takes) == 1


def test_the_index_keeps_whether_an_attempt_was_resumed(tmp_path: Path) -> None:
    add(tmp_path, recorded(1))
    add(tmp_path, recorded(2))
    write_take(tmp_path, step="other")
    assert [recording.resumed for recording in Cassette.open(tmp_path).takes] == [False, True, None]


def test_processes_that_record_in_parallel_lose_no_recording(tmp_path: Path) -> None:
    script = """
        import sys
        from pathlib import Path
        from pytest_gump.agents.cassettes.cassette import write_take
        for attempt in range(1, 11):
            write_take(Path(sys.argv[1]), step=sys.argv[2], attempt=attempt)
    """
    words = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    writers = [subprocess.Popen([*words, step]) for step in ("one", "two", "three")]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    takes = Cassette.open(tmp_path).takes
    assert len({(recording.step, recording.attempt) for recording in takes}) == 30
    assert sorted(recording.folder for recording in takes) == sorted(
        path.name for path in tmp_path.iterdir() if path.is_dir()
    )


def test_creating_a_cassette_twice_leaves_it_empty(tmp_path: Path) -> None:
    create(tmp_path / "deep" / "tape")
    create(tmp_path / "deep" / "tape")
    assert Cassette.open(tmp_path / "deep" / "tape").takes == ()
