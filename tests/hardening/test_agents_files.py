"""Agents that leave unusual files. None stops the run, fills the memory or reaches the user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.kits.cases import case
from tests.kits.sizes import full_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kits.rogue import Rogue

BIG = full_size(100, 200) * 1000 * 1000
"""More bytes than a session may keep in memory."""
MANY = full_size(2_000, 20_000)
LINE = b"a line of a file that no reviewer will ever read to its end\\n"
BIG_FILES = {
    "text": f"content = {LINE!r} * 1000".replace("\\\\n", "\\n"),
    "one_line": "content = b'x' * 60000",
    "binary": "content = os.urandom(20000)",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BIG_FILES)
def test_a_very_large_file_is_kept_and_not_shown(rogue: Rogue, kind: str) -> None:
    rogue.workflow("    gate: [compile, 'untouched: docs/**']\n")
    rogue.agent(
        f"""
        {BIG_FILES[kind]}
        with open("big.dat", "wb") as file:
            while file.tell() < {BIG}:
                file.write(content)
        """
    )
    ran = rogue.run_apart()
    assert ran.result.outcome == "passed", ran.lines
    assert b"big.dat" in rogue.tree(ran.result)
    assert int(rogue.project.git("cat-file", "-s", f"{ran.result.snapshot}:big.dat")) >= BIG
    assert "'big.dat': too large to show" in rogue.artifact("diff.patch").read_text()
    assert rogue.artifact("diff.patch").stat().st_size < 10_000
    assert ran.peak_mb < 150
    assert ran.seconds < 60


@pytest.mark.slow
def test_a_large_file_that_fails_the_gates_is_one_line_of_the_next_prompt(rogue: Rogue) -> None:
    rogue.workflow("    gate: ['bash: test ! -e big.txt']\n    on_failure: {retry: 2, strategy: [same]}\n")
    rogue.agent(
        f"""
        if attempt == 1:
            with open("big.txt", "wb") as file:
                while file.tell() < {BIG}: file.write(b"0123456789abcde\\n" * 131072)
        else:
            os.unlink("big.txt")
        """
    )
    ran = rogue.run_apart()
    assert [one.outcome for one in ran.results] == ["gate_failed", "passed"]
    assert "too large to show" in rogue.project.prompt("impl", attempt=2)
    assert len(rogue.project.prompt("impl", attempt=2)) < 10_000
    assert ran.peak_mb < 150


@pytest.mark.slow
def test_a_huge_output_file_is_refused(rogue: Rogue) -> None:
    rogue.workflow("    output: artifact\n")
    rogue.agent(f"write('.gump/out/artifact.txt', b'0123456789abcde\\n' * {BIG // 16})")
    ran = rogue.run_apart()
    assert ran.result.outcome == "output_invalid"
    assert ran.has_one_line(f"has {BIG} bytes; the limit is 1048576")
    assert ran.peak_mb < 150


@pytest.mark.slow
def test_thousands_of_small_files_are_kept(rogue: Rogue) -> None:
    rogue.workflow(f"    gate: ['bash: test $(ls many | wc -l) -eq {MANY}']\n")
    rogue.agent(f"os.mkdir('many')\nfor n in range({MANY}): open(f'many/{{n}}.txt', 'w').write(f'{{n}}\\n')")
    ran = rogue.run_apart()
    assert ran.result.outcome == "passed"
    assert len(ran.result.changed) == MANY
    assert rogue.project.git("ls-tree", "--name-only", str(ran.result.snapshot), f"many/{MANY - 1}.txt")
    assert max(len(line) for line in ran.lines) < 200
    assert ran.peak_mb < 200
    assert ran.seconds < 120


LINKS = {
    "to_a_file": "os.symlink('/etc/passwd', 'link')",
    "to_a_folder": "os.symlink(user, 'link')",
    "upwards": "os.symlink('../../x', 'link')",
    "into_git": "os.symlink('.git/config', 'link')",
    "through_another": "os.symlink('..', 'up'); os.symlink('up/x', 'link')",
}


def test_links_out_of_the_tree_fail_the_attempt_and_are_named(rogue: Rogue) -> None:
    rogue.workflow(
        f"    gate: [compile]\n    on_failure: {{retry: {len(LINKS)}, strategy: [same, 'escalate: script']}}\n"
    )
    rogue.agent(f"write('kept.py')\nexec({[*LINKS.values()]!r}[attempt - 1])")
    ran = rogue.run()
    assert (ran.code, len(ran.results)) == (1, len(LINKS))
    for kind, result in zip(LINKS, ran.results, strict=True):
        with case(kind):
            assert result.outcome == "out_of_bounds"
            assert "link" in result.reason
            assert b"kept.py" in rogue.tree(result)
    assert ran.times("left files that cannot be kept") == len(LINKS)


def test_gump_does_not_follow_linked_folders_out_of_the_tree(rogue: Rogue) -> None:
    rogue.workflow("    gate: [compile]\n    on_failure: {retry: 2, strategy: [same, 'escalate: script']}\n")
    rogue.agent(
        """
        if attempt == 1:
            shutil.rmtree("docs"); os.symlink(user / "docs", "docs")
            shutil.rmtree(".gump"); os.symlink(user / ".gump", ".gump")
        else:
            write("new.py")
        """
    )
    ran = rogue.run()
    assert [one.outcome for one in ran.results] == ["out_of_bounds", "passed"]
    assert [one.path for one in ran.result.changed] == ["new.py"]


def test_sockets_and_fifos_are_omitted_and_named(rogue: Rogue) -> None:
    rogue.workflow("    gate: ['bash: cat * > /dev/null 2>&1 || true', 'bash: test ! -e pipe']\n")
    rogue.agent("os.mkfifo('pipe'); import socket; socket.socket(socket.AF_UNIX).bind('sock'); write('new.py')")
    ran = rogue.run()
    assert ran.result.outcome == "passed"
    assert {b"new.py"} == {name for name in rogue.tree(ran.result) if name in {b"pipe", b"sock", b"new.py"}}
    assert ran.has_one_line("left out 2 special files: ")
    assert all(ran.has_one_line(name) for name in ("'pipe'", "'sock'"))


def test_a_thousand_fifos_are_reported_in_few_lines(rogue: Rogue) -> None:
    rogue.agent("for n in range(1000): os.mkfifo(f'pipe{n}')")
    ran = rogue.run()
    assert ran.result.outcome == "passed"
    assert len(ran.lines) < 40
    assert ran.has_one_line("left out 1000 special files: 'pipe")


def test_output_files_that_are_fifos_do_not_hang(rogue: Rogue) -> None:
    rogue.workflow("    output: plan\n")
    rogue.agent("os.mkfifo('.gump/out/plan.json')")
    ran = rogue.run()
    assert (ran.result.outcome, ran.seconds < 20) == ("output_invalid", True)


ODD_NAMES = {
    "newline": b"new\nline.py",
    "invalid_utf8": b"caf\xe9.py",
    "option": b"--help.py",
    "quotes": b'it\'s "so".py',
    "escape": b"\x1b[31mred\x1b[0m.py",
    "ci_command": b"::error::x.py",
    "brackets": b":(top)*[x].py",
    "trailing_space": b"blank ",
    "backslash": b"a\\b.py",
    "long": b"n" * 255,
    "surrogate": "\ud800".encode("utf-8", "surrogatepass"),
}


def test_unusual_names_are_kept_byte_for_byte(rogue: Rogue) -> None:
    names = [*ODD_NAMES.values()]
    rogue.workflow(
        "    gate: [compile, 'untouched: docs/**', 'bash: test -e second']\n"
        "    on_failure: {retry: 2, strategy: [same]}\n"
    )
    rogue.agent(f"for name in {names!r}: write(os.fsdecode(name), 'x = 1\\n') if attempt == 1 else write('second')")
    ran = rogue.run()
    assert [one.outcome for one in ran.results] == ["gate_failed", "passed"], ran.results
    assert {*names} - {*rogue.tree(ran.result)} == set()
    assert sorted(os.fsencode(one.path) for one in ran.result.changed) == sorted([*names, b"second"])
    assert not any("\x1b" in line or line.startswith("::error") for line in ran.lines)


def test_unusual_names_that_are_out_of_bounds_are_reported_in_one_line(rogue: Rogue) -> None:
    rogue.agent("write(os.fsdecode(b'.claude/new\\nline\\xe9\\x1b[31m.md'))")
    ran = rogue.run()
    assert ran.result.outcome == "out_of_bounds"
    assert ran.has_one_line("changed protected files: .claude/new line")


def test_names_that_git_refuses_do_not_affect_other_files(rogue: Rogue) -> None:
    rogue.agent("write('kept.py'); write('lib/.GIT/config', 'x'); write('lib/git~1', 'x')")
    ran = rogue.run()
    assert ran.result.outcome in {"passed", "out_of_bounds"}
    assert b"kept.py" in rogue.tree(ran.result)


@pytest.fixture
def removed(rogue: Rogue) -> Iterator[Rogue]:
    """Remove folders afterwards that are too deep for pytest to remove."""
    yield rogue
    subprocess.run(["rm", "-rf", *rogue.project.path.parent.glob(f"{rogue.project.path.name}*")], check=True)


@pytest.fixture
def recursion_limit() -> Iterator[int]:
    """Lower the recursion limit, since the time for deep folders grows with the square of their depth."""
    usual = sys.getrecursionlimit()
    limit = full_size(600, usual)
    sys.setrecursionlimit(limit)
    yield limit
    sys.setrecursionlimit(usual)


@pytest.mark.slow
def test_very_deep_folders_are_kept_or_named_and_then_removed(removed: Rogue, recursion_limit: int) -> None:
    rogue = removed
    rogue.workflow(
        "    gate: ['bash: test -e second']\n    on_failure: {retry: 2, strategy: [same, 'escalate: script']}\n"
    )
    rogue.agent(
        f"""
        if attempt == 1:
            for folder in ("untracked", "kept.log", "lib/.git"):
                os.makedirs(folder); start = os.getcwd(); os.chdir(folder)
                for _ in range({recursion_limit + 10}): os.mkdir("d"); os.chdir("d")
                pathlib.Path("leaf").touch()
                os.chdir(start)
        else:
            write("second")
        """
    )
    ran = rogue.run()
    assert [one.outcome for one in ran.results] == ["gate_failed", "passed"], ran.results
    assert [one.path for one in ran.result.changed] == ["second"]


def test_folders_beyond_the_maximum_path_length_do_not_break_the_run(removed: Rogue) -> None:
    rogue = removed
    rogue.workflow(
        "    gate: ['bash: test -e second']\n    on_failure: {retry: 2, strategy: [same, 'escalate: script']}\n"
    )
    rogue.agent(
        """
        if attempt == 1:
            start = os.getcwd()
            for _ in range(50): os.mkdir("d" * 200); os.chdir("d" * 200)
            pathlib.Path("leaf").touch()
            os.chdir(start)
        else:
            write("second")
        """
    )
    ran = rogue.run()
    assert [one.outcome for one in ran.results] == ["out_of_bounds", "passed"], ran.results
    assert [one.path for one in ran.result.changed] == ["second"]


UNREADABLE = """
write('kept.py'); write('locked.py', 'x'); os.chmod('locked.py', 0)
write('closed/x.py', 'x'); os.chmod('closed', 0)
write('docs/notes.md', 'changed'); os.chmod('docs', 0o500); write('.gump/out/x'); os.chmod('.gump/out', 0)
"""


def test_unreadable_files_fail_the_attempt_and_are_missing_in_the_next(rogue: Rogue) -> None:
    rogue.workflow("    gate: [compile]\n    on_failure: {retry: 2, strategy: [same, 'escalate: script']}\n")
    rogue.agent(f"if attempt == 2: write('new.py'); done(); sys.exit()\n{UNREADABLE}")
    ran = rogue.run_apart(prefix=without_powers())
    assert [one.outcome for one in ran.results] == ["out_of_bounds", "passed"], ran.lines
    assert "closed" in ran.results[0].reason
    assert "locked.py" in ran.results[0].reason
    assert b"kept.py" in rogue.tree(ran.results[0])
    assert b"docs/notes.md" in rogue.tree(ran.results[0])
    assert [one.path for one in ran.result.changed] == ["new.py"]


def without_powers() -> tuple[str, ...]:
    """Return a command prefix that drops the capabilities which let root read everything."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root reads everything, and there is no setpriv")
    return ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


def test_an_ignored_file_that_a_gate_needs_is_named(rogue: Rogue) -> None:
    rogue.workflow("    gate: ['bash: test -f needed.py']\n    on_failure: {retry: 2, strategy: [same]}\n")
    rogue.agent(
        """
        write("needed.py", "x = 1\\n")
        write(".gitignore", "needed.py\\n__pycache__/\\n" if attempt == 1 else "__pycache__/\\n")
        """
    )
    ran = rogue.run()
    assert [one.outcome for one in ran.results] == ["gate_failed", "passed"]
    assert ran.has_one_line("ignored files are not kept, so the gates did not see them: needed.py")
    assert "the gates did not see them: needed.py" in rogue.project.prompt("impl", attempt=2)
    assert b"needed.py" in rogue.tree(ran.result)
