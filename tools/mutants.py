"""Mutation testing of the modules that decide: mutmut changes them in small ways, and unit tests must fail.

`[tool.mutmut]` in pyproject.toml lists the modules and the test files. A mutant that no test notices is a survivor.
The exit code is 1 if a survivor is missing in `tests/mutants.toml`, if a mutant of that file does not survive, or if
less than 85 % of the mutants are killed. Everything is written below `.cache/mutants`.

    tools/mutants.py             all mutants, from the start
    tools/mutants.py '*retry*'   mutants whose names match, from the start
    tools/mutants.py --resume    the survivors of the last run, and what it did not reach
    tools/mutants.py --report    the results of the last run
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / ".cache" / "mutants"
EXPLAINED: Final = ROOT / "tests" / "mutants.toml"
COPIED: Final = ("conftest.py", "pyproject.toml", "pytest_gump", "tests", "workflows")
PROCESSES: Final = "2"
LEAST_KILLED: Final = 0.85
FAILED_TESTS: Final = (1, 3)
"""Exit codes of pytest: tests failed, internal error."""


class Change(NamedTuple):
    """What a mutant changes: its function, and the lines that differ. The numbers of mutants are not stable."""

    function: str
    old: str
    new: str


class Mutant(NamedTuple):
    name: str
    module: str
    status: str
    """`killed`, `timeout`, or the reason why it counts as a survivor."""
    change: Change

    @property
    def survived(self) -> bool:
        return self.status not in {"killed", "timeout"}


def start() -> None:
    """Give mutmut a folder to work in, with links to what it copies."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name in COPIED:
        (FOLDER / name).symlink_to(os.path.relpath(ROOT / name, FOLDER))


def resume() -> None:
    """Forget which tests exist, and the results of the mutants that no test noticed."""
    (FOLDER / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    for path in FOLDER.glob("mutants/**/*.meta"):
        data = json.loads(path.read_text(encoding="utf-8"))
        codes = data["exit_code_by_key"]
        codes.update({name: None for name, code in codes.items() if code not in FAILED_TESTS})
        path.write_text(json.dumps(data), encoding="utf-8")


def run(names: Sequence[str]) -> int:
    """Let mutmut make the mutants and run the tests; it orders tests by their hashes."""
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", PROCESSES, *names]
    with (FOLDER / "log.txt").open("w") as log:
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        return subprocess.run(command, cwd=FOLDER, env=environment, stdout=log, stderr=log, check=False).returncode


def results() -> Iterator[Mutant]:
    """Read what mutmut left in its folder, which becomes the current one."""
    os.chdir(FOLDER)
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.stats import status_by_exit_code
    from mutmut.utils.file_utils import walk_mutatable_files

    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            status = status_by_exit_code[code]
            is_killed = status in {"killed", "timeout"}
            change = change_of(name, "" if is_killed else get_diff_for_mutant(name, path=path))
            yield Mutant(name, path.as_posix(), status, change)


def change_of(name: str, diff: str) -> Change:
    """Read a mutant's name, such as `pytest_gump.a.x_function__mutmut_3`, and its unified diff."""
    lines = diff.splitlines()[2:]
    old, new = (" ".join(line[1:].strip() for line in lines if line[0] == sign).strip() for sign in "-+")
    function = name.partition("__mutmut_")[0].replace(".x\u01c1", ".").replace(".x_", ".").replace("\u01c1", ".")
    return Change(function.removeprefix("pytest_gump."), old, new)


def explained(text: str) -> set[Change]:
    """Read `tests/mutants.toml`."""
    entries = tomllib.loads(text).get("mutant", [])
    return {Change(entry["function"], *change) for entry in entries for change in entry["changes"]}


def killed_share(mutants: Sequence[Mutant]) -> float:
    return sum(not mutant.survived for mutant in mutants) / len(mutants)


def table(mutants: Sequence[Mutant], known: set[Change]) -> str:
    rows = [f"{'module':<36} mutants killed timeout survived explained share killed"]
    modules = sorted({mutant.module for mutant in mutants})
    for title, of in [*((module, [module]) for module in modules), ("all", modules)]:
        own = [mutant for mutant in mutants if mutant.module in of]
        count = Counter(mutant.status if not mutant.survived else "survived" for mutant in own)
        listed = sum(mutant.survived and mutant.change in known for mutant in own)
        rows.append(
            f"{title.removeprefix('pytest_gump/'):<36} {len(own):>7} {count['killed']:>6} {count['timeout']:>7} "
            f"{count['survived']:>8} {listed:>9} {killed_share(own):>12.1%}"
        )
    return "\n".join(rows)


def problems(mutants: Sequence[Mutant], known: set[Change]) -> Iterator[str]:
    """Why a run fails."""
    survivors = [mutant for mutant in mutants if mutant.survived]
    for mutant in survivors:
        if mutant.change not in known:
            yield f"{mutant.name}: {mutant.status}\n  - {mutant.change.old}\n  + {mutant.change.new}"
    for change in sorted(known - {mutant.change for mutant in survivors}):
        yield f"{change.function}: explained, but it did not survive\n  - {change.old}\n  + {change.new}"
    if killed_share(mutants) < LEAST_KILLED:
        yield f"{killed_share(mutants):.1%} of the mutants are killed, at least {LEAST_KILLED:.0%} are wanted"


def report(mutants: Iterable[Mutant], *, is_whole: bool) -> int:
    """Print what was checked. Of a part of the mutants, the explained ones that did not survive are unknown."""
    made = list(mutants)
    checked = [mutant for mutant in made if mutant.status != "not checked"]
    known = explained(EXPLAINED.read_text(encoding="utf-8"))
    if len(checked) < len(made):
        known &= {mutant.change for mutant in checked}
    found = [f"\n{problem}" for problem in problems(checked, known)]
    if is_whole and len(checked) < len(made):
        found.append(f"\n{len(made) - len(checked)} mutants were not checked")
    print(table(checked, known), *found, sep="\n")
    return 1 if found else 0


def main(arguments: Sequence[str]) -> int:
    options = {"--resume", "--report"} & {*arguments}
    names = [argument for argument in arguments if argument not in options]
    if "--report" not in options:
        resume() if "--resume" in options else start()
        if code := run(names):
            print(f"mutmut ended with exit code {code}: see {FOLDER / 'log.txt'}", file=sys.stderr)
            return code
    return report(results(), is_whole=not names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
