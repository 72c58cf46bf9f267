"""A gate context with a real shell."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_gump.gates.base import CommandOutcome, GateContext

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass
class Shell:
    """Run the commands of gates as the engine does, but without its supervisor."""

    worktree: Path
    timeout_s: float = 60.0

    def __call__(
        self, command: str, *, label: str, env: Mapping[str, str] | None = None, with_records: bool = False
    ) -> CommandOutcome:
        if not with_records:
            return self._run(command, label, env)
        with tempfile.NamedTemporaryFile() as records:
            outcome = self._run(f"exec 3>{shlex.quote(records.name)}\n{command}", label, env)
            return replace(outcome, records=records.read())

    def _run(self, command: str, label: str, env: Mapping[str, str] | None) -> CommandOutcome:
        started = time.monotonic()
        kept = {name: os.environ[name] for name in ("PATH", "PYTEST_DISABLE_PLUGIN_AUTOLOAD") if name in os.environ}
        environment = {**kept, "HOME": str(self.worktree), **(env or {})}
        try:
            ended = subprocess.run(
                command,
                shell=True,
                check=False,
                cwd=self.worktree,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=self.timeout_s,
            )
        except subprocess.TimeoutExpired as error:
            output = (error.stdout or b"").decode(errors="replace")
            return CommandOutcome(None, output, None, self.timeout_s, f"timed out after {self.timeout_s:g}s")
        output = ended.stdout.decode(errors="replace")
        seconds = time.monotonic() - started
        if ended.returncode < 0:
            return CommandOutcome(None, output, None, seconds, f"killed by signal {-ended.returncode}")
        return CommandOutcome(ended.returncode, output, f"1-{label}.txt", seconds)


def gate_context(
    worktree: Path, *, commands: Mapping[str, str] | None = None, timeout_s: float = 60.0, **others: Any
) -> GateContext:
    return GateContext(
        worktree=worktree,
        changed=others.pop("changed", ()),
        run=Shell(worktree, timeout_s),
        commands=commands or {},
        timeout_s=timeout_s,
        **others,
    )
