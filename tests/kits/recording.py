"""Two CLIs as programs on PATH that change files, print streams in their own formats, and print secrets."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from pytest_gump.testing import GumpProject

SECRET: Final = 'sk-ant-test-"quoted"-0123456789/abcdef'
"""A secret with characters that JSON escapes."""
TOKEN: Final = "ghp_" + "a1B2" * 9

WORK: Final = """\
import json, os, pathlib, re, signal, sys, time
prompt = sys.stdin.read()
step, attempt = os.environ["GUMP_STEP"], int(os.environ["GUMP_ATTEMPT_NUMBER"])
here, home = pathlib.Path.cwd(), pathlib.Path(os.environ["HOME"])
secret = os.environ.get("ANTHROPIC_API_KEY") or os.environ.get("OPENAI_API_KEY") or "none"

def say(**fields):
    print(json.dumps(fields), flush=True)

def change():
    if step == "decompose":
        (here / ".gump/out/plan.json").write_text('[{"name": "only one", "description": "do it"}]')
    elif step == "review":
        (here / ".gump/out/review.json").write_text('{"pass": true, "comment": "as it should be"}')
    elif step.startswith("sides::"):
        (here / f"{step.removeprefix('sides::')}.py").write_text("fine = 1\\n")
    elif attempt == 1:
        (here / "app.py").write_text("def broken(:\\n")
    elif attempt == 2:
        (here / "app.py").write_text("still = broken(:\\n")
    else:
        (here / "app.py").write_text("fine = 1\\n")
        (here / "tool.sh").write_text("#!/bin/sh\\n")
        (here / "tool.sh").chmod(0o755)
        (here / "picture.bin").write_bytes(bytes(range(256)) * 8)
        (here / "large.txt").write_text("0123456789abcdef\\n" * 100_000)
        (here / "na\\u00efve name.txt").write_text("x\\n")
        (here / "link").symlink_to("app.py")
        (here / "old.txt").unlink()
"""

CLAUDE: Final = """
import uuid
resumed = next((word.partition("=")[2] for word in sys.argv if word.startswith("--resume=")), None)
session = resumed or str(uuid.uuid4())
before = home / f"cost-{session}"
total = float(before.read_text() if before.exists() else 0) + 0.25
before.write_text(str(total))
usage = {"input_tokens": 900, "cache_creation_input_tokens": 50, "cache_read_input_tokens": 30, "output_tokens": 70}
say(type="system", subtype="init", cwd=str(here), session_id=session, model="claude-haiku-4-5")

def answer(number, *content):
    message = {"id": f"msg-{number}", "model": "claude-haiku-4-5", "role": "assistant", "content": content, "usage": usage}
    say(type="assistant", message=message, parent_tool_use_id=None, session_id=session)

def end(**more):
    say(type="result", subtype="success", is_error=False, num_turns=2, result=f"Done in {here}, as {secret}.",
        session_id=session, total_cost_usd=total, usage=usage,
        modelUsage={"claude-haiku-4-5": {"inputTokens": 900, "outputTokens": 70, "cacheReadInputTokens": 30,
                                         "cacheCreationInputTokens": 50, "costUSD": total, "costBasis": "list"}}, **more)

change()
path = ".gump/out/plan.json" if step == "decompose" else ".gump/out/review.json" if step == "review" else "app.py"
answer(1, {"type": "tool_use", "id": "t1", "name": "Write", "input": {"file_path": str(here / path), "content": secret}})
time.sleep(0.4 if step == "decompose" else 0.05)  # whoever reads may come late
noise = f"key {secret} token TOKEN home {home}/.claude/projects/{re.sub('[^A-Za-z0-9]', '-', str(here))}"
say(type="user", message={"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": noise}]})
print(f"claude: {here} {home}/x {secret} TOKEN", file=sys.stderr)
"""

FINISH_CLAUDE: Final = 'answer(2, {"type": "text", "text": "Written."})\nend()\n'

CODEX: Final = """
thread = "01a20201-0000-7000-8000-000000000001"
say(type="thread.started", thread_id=thread)
say(type="turn.started")
change()
say(type="item.completed", item={"id": "i1", "type": "file_change", "status": "completed",
                                 "changes": [{"path": str(here / "app.py"), "kind": "update"}]})
command = {"id": "i2", "type": "command_execution", "command": f"env # {secret}", "aggregated_output": secret}
say(type="item.completed", item={**command, "exit_code": 0, "status": "completed"})
say(type="item.completed", item={"id": "i3", "type": "agent_message", "text": f"All done in {here}, TOKEN."})
say(type="turn.completed", usage={"input_tokens": 5430, "cached_input_tokens": 1530, "cache_write_input_tokens": 0,
                                  "output_tokens": 153, "reasoning_output_tokens": 21})
"""

FLOW: Final = """\
name: flow
steps:
  - name: decompose
    agent: claude-haiku
    output: plan
    prompt: "Split it: {spec}"
  - name: build
    foreach: decompose
    steps:
      - name: impl
        agent: claude-haiku
        prompt: "Do {item.name}."
        gate: [compile]
        on_failure: {retry: 3, strategy: [same, same, "escalate: codex-gpt54"]}
  - name: review
    agent: claude-haiku
    output: review
    prompt: Look at it.
"""

SIDES: Final = """\
name: sides
steps:
  - name: sides
    parallel: true
    steps:
      - {name: left, agent: claude-haiku, prompt: Do the left., gate: [compile]}
      - {name: right, agent: codex-gpt54, prompt: Do the right., gate: [compile]}
"""

ONE: Final = """\
name: one
steps:
  - name: impl
    agent: claude-haiku
    prompt: Do it.
    guard: {max_turns: 4}
"""


def install(project: GumpProject, monkeypatch: pytest.MonkeyPatch, *, claude: str = FINISH_CLAUDE) -> Path:
    """Put both CLIs on PATH and their keys into the environment. Return the folder of the CLIs."""
    folder = project.path.parent / f"{project.path.name}-bin"
    folder.mkdir(exist_ok=True)
    for name, script in {"claude": CLAUDE + textwrap.dedent(claude), "codex": CODEX}.items():
        text = f"#!{sys.executable}\n{WORK}{script}".replace("TOKEN", TOKEN)
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    project.write({"old.txt": "old\n", "spec.md": "# Spec\n\nBuild it.\n"})
    project.workflow("flow", FLOW)
    project.workflow("one", ONE)
    project.workflow("sides", SIDES)
    return folder
