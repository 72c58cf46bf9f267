"""Workflows that the session tests run."""

from __future__ import annotations

from typing import Final

ONE: Final = """\
name: one
steps:
  - name: impl
    agent: claude-haiku
    prompt: Do it.
    gate: [compile]
"""

RETRY: Final = """\
name: retry
steps:
  - name: impl
    agent: claude-haiku
    prompt: Do it.
    gate: [compile]
    on_failure: {retry: 3, strategy: [same, same, "escalate: claude-sonnet"]}
"""

PLAN: Final = """\
name: plan
description: A plan, an item step, a last check
max_budget: 5
steps:
  - name: decompose
    agent: claude-opus
    output: plan
    prompt: Split it.
  - name: build
    foreach: decompose
    steps:
      - name: tests
        agent: claude-haiku
        prompt: "Test {item.name}."
        gate: [compile]
      - name: impl
        agent: claude-haiku
        session: reuse
        prompt: "Build {item.name}."
        gate: [compile]
        on_failure: {retry: 3, strategy: [same, "escalate: claude-sonnet"]}
  - name: quality
    gate: [compile]
"""

BROKEN: Final = "def broken(:\n"

RESTART: Final = """\
name: restart
steps:
  - name: tests
    agent: claude-haiku
    prompt: Test it.
    gate: ["touched: test_*.py"]
  - name: impl
    agent: claude-haiku
    prompt: Build it.
    gate: [compile]
    on_failure: {retry: 2, strategy: [same], restart_from: tests}
"""

REPLAN: Final = """\
name: replan
steps:
  - name: impl
    agent: claude-haiku
    prompt: Build it.
    gate: [compile]
    on_failure: {retry: 2, strategy: [same, "replan: claude-opus"]}
"""
