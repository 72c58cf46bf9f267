"""The prompt of an agent, in sections.

The controller builds most sections (`head_sections`) and sends them with the order. The executor adds the project's
conventions and the additional context, which only the worktree holds (`compose`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pytest_gump.engine.attempt.feedback import describe_failures, fenced
from pytest_gump.engine.attempt.handover import HANDOVER_FILES
from pytest_gump.engine.attempt.shell_rules import code
from pytest_gump.engine.checks.bounds import PROTECTED
from pytest_gump.engine.checks.no_change import NO_CHANGE_FILE
from pytest_gump.gates.patterns import matches
from pytest_gump.order import PlanItem, Section
from pytest_gump.system.worktrees.folder import HANDOVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_gump.order import AttemptResult, Mode, Order

TASK: Final = "Your task"
STANDING: Final = "What was done so far"
FAILED: Final = "What failed"
BLAST_RADIUS: Final = "Files you may change"
OUTPUT: Final = "What to hand over"
RULES: Final = "Rules"
SPEC: Final = "Specification"
CONVENTIONS: Final = "Project conventions"
CONTEXT: Final = "Additional context"

_DEFAULT_TASKS: Final[Mapping[Mode, str]] = {
    "plan": "Read the specification below and the code it is about, and split the work into items.",
    "review": "Review the current state of this project against the specification.",
}


@dataclass(frozen=True, slots=True)
class PromptParts:
    """The parts of an attempt's prompt that the controller knows."""

    task: str
    """The step's prompt with its templates filled."""
    mode: Mode
    task_key: str | None = None
    """The task for the fingerprint: filled without names that differ from run to run (`{error}`, `{run.id}`)."""
    failed: Sequence[AttemptResult] = ()
    """Failed attempts to describe, oldest first; of this step, or of a later one after a restart."""
    diff: str = ""
    """Change of the tree since the step began, bounded."""
    tree: Literal["kept", "reset"] = "kept"
    standing: str = ""
    """The work so far, for an agent that should resume a conversation but cannot."""
    item: PlanItem | None = None
    blast_radius: Literal["enforce", "warn", "off"] = "off"
    protected: Sequence[str] = ()
    """Patterns of the step's `untouched` gates."""
    test_patterns: Sequence[str] = ()
    """Patterns that `@tests` stands for in `protected`; empty = the built-in table."""
    writes_tests: bool = False
    """True if the step may change test files that the item does not list."""
    spec: str | None = None
    """The spec as a section of its own; set only for plan steps."""
    must_change: bool = False
    """True if the attempt fails when no file changed and the agent gives no reason."""
    max_items: int = 100
    min_items: int = 1
    error_chars: int = 2000
    """Limit for the output of all failing gates together."""
    shell_rules: Sequence[str] = ()
    """Rules on shell commands, for the CLI of the agent."""


def head_sections(parts: PromptParts) -> tuple[Section, ...]:
    """Return all sections except conventions and additional context, in the documented order and without empty ones."""
    task = parts.task.strip() or _DEFAULT_TASKS.get(parts.mode, "")
    key = None if parts.task_key is None else parts.task_key.strip() or task
    sections = (
        Section(TASK, task, key=key),
        Section(STANDING, parts.standing.strip()),
        Section(FAILED, _failed(parts)),
        _blast_radius(parts),
        _output(parts),
        Section(RULES, rules(parts.mode, (*_protected(parts.mode), *parts.shell_rules)), key=rules(parts.mode)),
        Section(SPEC, (parts.spec or "").strip()),
    )
    return tuple(section for section in sections if section.text)


def compose(head: Sequence[Section], *, conventions: str = "", context: Sequence[Section] = ()) -> str:
    """Return the whole prompt. `context` holds one section per entry, titled with its source."""
    sections = list(head)
    if conventions.strip():
        sections.append(Section(CONVENTIONS, conventions.strip()))
    if context:
        entries = (f"### {entry.title}\n\n{entry.text.rstrip()}" for entry in context)
        sections.append(Section(CONTEXT, "\n\n".join(entries)))
    return "\n\n".join(f"## {section.title}\n\n{section.text}" for section in sections) + "\n"


def prompt_key(order: Order) -> str:
    """Return the declared parts of a prompt as text, which a cassette compares.

    The key is the same in all runs of a step. It leaves out the failures, and holds the definition of each context
    entry, not its content.
    """
    declared = [
        f"## {section.title}\n\n{section.text if section.key is None else section.key}"
        for section in order.head
        if section.title not in {FAILED, STANDING}
    ]
    return "\n\n".join((*declared, *(part.key for part in order.context))) + "\n"


def _output(parts: PromptParts) -> Section:
    """Return the output section. Its key, which recordings compare, leaves out the text that `must_change` adds."""
    key = expectations(parts.mode, max_items=parts.max_items, min_items=parts.min_items)
    return Section(OUTPUT, f"{_CHANGE}\n\n{_NO_CHANGE}" if parts.must_change else key, key=key)


def expectations(mode: Mode, *, max_items: int, min_items: int = 1) -> str:
    """Return what the agent must deliver in this mode, with file name and example."""
    match mode:
        case "plan":
            count = f"At least one item, at most {max_items}" if min_items else _MAYBE_EMPTY.format(max_items=max_items)
            return _PLAN.format(file=f"{HANDOVER}/plan.json", count=count)
        case "artifact":
            return _ARTIFACT.format(file=f"{HANDOVER}/artifact.txt")
        case "review":
            return _REVIEW.format(file=f"{HANDOVER}/review.json")
        case _:
            return _DIFF


def rules(mode: Mode, more: Sequence[str] = ()) -> str:
    """Return the rules of a step. Cassettes compare them without `more`: rules on protected files and the shell."""
    writes = _READ_ONLY_RULE if mode in HANDOVER_FILES else _DIFF_RULE
    return "\n".join(f"- {rule}" for rule in (*_COMMON_RULES, writes, *more))


def _protected(mode: Mode) -> tuple[str, ...]:
    return () if mode in HANDOVER_FILES else (_PROTECTED_RULE,)


def standing(message: str) -> str:
    """Return the section on a conversation that cannot be resumed; `message` is its last message."""
    said = f" It ended with:\n\n{message}" if message else ""
    return f"Another conversation worked on this before you; you do not see it.{said}"


def replan_prompt(task: str, item: PlanItem | None) -> str:
    """Return the task of the agent that replans failed work."""
    parts = [
        _REPLAN,
        "### The task that failed\n\n" + fenced(task.strip()),
    ]
    return "\n\n".join([*parts, _describe_item(item)] if item is not None else parts)


def replan_item_prompt(task: str, item: PlanItem) -> str:
    """Return the task of the agent that carries out one item of such a plan."""
    return "\n\n".join(
        (
            "This is one part of a larger task that was split up after it had failed. Do this part only.",
            _describe_item(item),
            "### The larger task, for orientation\n\n" + fenced(task.strip()),
        )
    )


def _describe_item(item: PlanItem) -> str:
    text = f"### Item: {item.name}"
    if item.description.strip():
        text += f"\n\n{item.description.strip()}"
    return f"{text}\n\nFiles: {', '.join(item.files)}" if item.files else text


def _failed(parts: PromptParts) -> str:
    if not parts.failed:
        return ""
    described = describe_failures(parts.failed, error_chars=parts.error_chars)
    stands = (
        "The files are as that attempt left them: continue from there."
        if parts.tree == "kept"
        else "The files were reset to the state in which this step began. Nothing of that attempt is left."
    )
    sections = [described, stands]
    if parts.diff.strip():
        title = "Changes so far" if parts.tree == "kept" else "What it had changed"
        sections.append(f"### {title}\n\n{fenced(parts.diff.rstrip(), 'diff')}")
    sections.append("Find the cause before you change anything, and do not repeat what did not work.")
    return "\n\n".join(sections)


def _blast_radius(parts: PromptParts) -> Section:
    """Return the section on the files that the item may change, without those that an `untouched` gate protects.

    The key ignores the protected files, so that older recordings stay valid.
    """
    if parts.mode != "diff" or parts.blast_radius == "off" or parts.item is None or not parts.item.files:
        return Section(BLAST_RADIUS, "")
    every = _patterns_text(parts.item.files, parts.blast_radius)
    if not parts.protected:
        text = _patterns_text(parts.item.files, parts.blast_radius, tests=True) if parts.writes_tests else every
        return Section(BLAST_RADIUS, text, key=None if text == every else every)
    try:
        closed = {*matches(parts.protected, parts.item.files, tests=parts.test_patterns)}
    except ValueError:  # the gate reports the invalid pattern
        closed = set()
    names = " or ".join("a test file" if pattern == "@tests" else code(pattern) for pattern in parts.protected)
    rule = f"A change of {names} makes this attempt fail, whatever the patterns above match."
    allowed = [pattern for pattern in parts.item.files if pattern not in closed]
    text = _patterns_text(allowed, parts.blast_radius) if allowed else "The item lists no other files."
    return Section(BLAST_RADIUS, f"{text}\n\n{rule}" if allowed else f"{rule} {text}", key=every)


def _patterns_text(patterns: Sequence[str], blast_radius: str, *, tests: bool = False) -> str:
    consequence = (
        "A change of any other file makes this attempt fail."
        if blast_radius == "enforce"
        else "Changes of other files are possible where they are needed, and are reported."
    )
    listed = "\n".join((*(f"- `{pattern}`" for pattern in patterns), *(["- any test file"] if tests else [])))
    return f"Change only files that match these patterns:\n\n{listed}\n\n{consequence}"


_REPLAN: Final = """\
The task below was tried and its checks did not pass (see what failed). Find out why, and split the work into smaller
items that another agent can carry out one after the other: smaller steps, or another approach. Plan only; do not carry
it out."""

_CHANGE: Final = """\
Change the files of this project. What counts is the state of the files when you end: it is compared with the state
before, and checked."""
_DIFF: Final = f"{_CHANGE} Nothing has to be written to `{HANDOVER}`."
_NO_CHANGE: Final = f"""\
If no file has to change because the work is already done, write the reason as one line of text to
`{HANDOVER}/{NO_CHANGE_FILE}`. The attempt fails if you change no file and give no reason. The checks run in
both cases."""

_PLAN: Final = """\
Write the plan to the file `{file}`: a JSON array with one object per item, in the order in which they are to be done.

```json
[
  {{
    "name": "parse durations",
    "description": "Add parse_duration() to units.py: reads 90s, 5m, 1h30m as seconds; ValueError for anything else.",
    "files": ["src/app/units.py", "tests/test_units.py"]
  }}
]
```

- `name`: short; no two items may have the same name.
- `description`: everything that an agent needs to know that sees only this item and the code.
- `files`: patterns, as in `.gitignore`, of all files that the item may create or change; relative to the root, no `..`.
  Leave it out if you cannot tell.
- `depends_on`: names of the items whose work this one needs. Other items may be done in parallel.
- {count}. Each can be done and tested when those before it are done.

The file holds the JSON and nothing else. Plan only: no other file may be changed, or the attempt fails."""

_MAYBE_EMPTY: Final = "At most {max_items} items; an empty array if there is nothing to do"

_ARTIFACT: Final = """\
Write your result as plain text to the file `{file}`. No other file may be changed, or the attempt fails."""

_REVIEW: Final = """\
Write your verdict to the file `{file}`: one JSON object.

```json
{{"pass": false, "comment": "parse_duration() in units.py, line 14: an empty text gives 0 and not a ValueError."}}
```

- `pass`: true or false.
- `comment`: what you found. With `pass: false`, it is required, and must say what is wrong and where: whoever fixes it
  sees nothing else of your review.

The file holds the JSON and nothing else. Review only: no other file may be changed, or the attempt fails."""

_COMMON_RULES: Final = (
    "Work only inside the current directory. Paths outside it are not part of the project.",
    "Change nothing in git: no commit, branch, stash, reset or configuration. Your changes are recorded for you.",
    "Leave nothing running when you end.",
    "Nobody can answer a question. Decide yourself, and say what you decided.",
)
_DIFF_RULE: Final = "Files that git ignores do not count as changes."
_PROTECTED_RULE: Final = (
    "Do not change these files, unless they are listed above; a change makes the attempt fail: "
    f"{', '.join(map(code, PROTECTED))}."
)
_READ_ONLY_RULE: Final = "Read as much as you need. Write only the file named above."
