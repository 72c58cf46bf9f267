"""Codex, headless: `codex exec`."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_gump.agents.clis.adapter import CliAgent
from pytest_gump.agents.clis.command_words import Grants
from pytest_gump.agents.program import Login, Program, Sandbox, Versions
from pytest_gump.agents.shell.permissions import Shell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_gump.agents.base import Task

SECRETS: Final = ("CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "OPENAI_API_KEY")
"""Passed to the CLI, but not to the commands that the model runs."""

PROFILE: Final = "gump-read-only"
PROFILE_WRITE: Final = "gump-write"

# No sandbox mode fits: `read-only` allows no writes at all, `workspace-write` allows the whole worktree.
READ_ONLY: Final = (
    f'default_permissions="{PROFILE}"',
    f'permissions.{PROFILE}={{extends=":read-only",filesystem={{":workspace_roots"={{".gump/out"="write"}}}}}}',
)

LOG: Final = {"RUST_LOG": "error,codex_core::responses_retry=warn,codex_sandboxing::violation=warn"}
"""Lets the CLI log how long it waits before a retry, and what the sandbox denies. The stream contains neither."""

# As settings and not as `--sandbox`, so that the user's own arguments can still set `--sandbox`.
WORKSPACE_WRITE: Final = (
    'sandbox_mode="workspace-write"',
    "sandbox_workspace_write.writable_roots=[]",
    "sandbox_workspace_write.network_access=false",
)


class CodexAgent(CliAgent):
    """One name bound to a model.

    Confinement by the CLI, tested with 0.171, in a sandbox of the operating system: files are written only in the
    worktree (except its `.git` and `.codex`), in /tmp and in TMPDIR (except the user's checkout and home folder), and
    there is no network. All commands are allowed.
    In read-only steps (plan, artifact, review), a permission profile allows writes only to `.gump/out`. Settings, hooks
    and MCP servers in the worktree are not loaded, even if the user has trusted the folder.
    """

    cli: ClassVar = "codex"
    program: ClassVar = Program(
        "codex",
        "Codex",
        get="npm install -g @openai/codex",
        tested=Versions("0.169.0", "0.171.0", on="2026-11-29"),
        login=Login(keys=SECRETS, home=("CODEX_HOME", "~/.codex"), file="auth.json"),
        sandbox=Sandbox(
            ("sandbox", "--", "true"),
            needs="On Linux, the sandbox needs user namespaces. With an old bubblewrap on PATH (0.8), CODEX_HOME must "
            "not be below /tmp",
        ),
    )
    shell: ClassVar = Shell(
        sandbox="Every shell command may run, in a sandbox: it can write only in the current directory (but not in "
        "`.git`) and in `/tmp`, and has no network.",
        sandbox_read_only="Every shell command may run, in a sandbox: it can write only in `.gump/out`, and has no "
        "network. Run no tests and no other code of the project: it could change your result there.",
    )
    stream: ClassVar = "pytest_gump.agents.clis.codex_stream:CodexReader"
    models: ClassVar = {
        "codex": None,
        "codex-gpt55": "gpt-5.5",
        "codex-gpt54": "gpt-5.4",
        "codex-gpt54-mini": "gpt-5.4-mini",
        "codex-gpt53": "gpt-5.3-codex",
        "codex-gpt53-spark": "gpt-5.3-codex-spark",
        "codex-gpt52": "gpt-5.2-codex",
        "codex-gpt51-max": "gpt-5.1-codex-max",
        "codex-o3": "o3",
    }
    model_name: ClassVar = re.compile(r"codex-(?P<model>[a-z0-9.\-]*\d[a-z0-9.\-]*)", re.ASCII)
    environment_names: ClassVar = (
        *SECRETS,
        "OPENAI_ORGANIZATION",
        "OPENAI_PROJECT",
        "CODEX_HOME",
        "CODEX_SQLITE_HOME",
        "CODEX_CA_CERTIFICATE",
    )
    environment: ClassVar = LOG
    grants: ClassVar = Grants(
        options=frozenset({"-s", "--sandbox", "--add-dir"}),
        flags=frozenset({"--approve-for-me", "--dangerously-bypass-approvals-and-sandbox"}),
    )

    def _argv(self, task: Task) -> Iterable[str]:
        argv = ["exec", "--json", "--skip-git-repo-check"]
        if self.model is not None:
            argv += ["-m", self.model]
        for setting in _settings(task, self.env.get("TMPDIR") or os.environ.get("TMPDIR", "")):
            argv += ["-c", setting]
        argv += self._granted(task)
        if task.session is not None:
            argv += ["fork" if task.fork else "resume", "--", task.session.id]
        return (*argv, "-")


def _settings(task: Task, temporary: str) -> Iterator[str]:
    yield from READ_ONLY if task.read_only else _workspace_write(task, temporary)
    yield 'approval_policy="never"'
    yield "analytics.enabled=false"
    yield "allow_login_shell=false"  # a login shell would replace PATH, and with it python and pytest
    yield f"shell_environment_policy.exclude={json.dumps([*SECRETS, *LOG])}"
    yield f'projects={{{_quoted(task.worktree)}={{trust_level="untrusted"}}}}'


def _workspace_write(task: Task, temporary: str) -> tuple[str, ...]:
    """Return the settings of a step that writes. Commands may write to `/tmp` and to `temporary`.

    A sandbox mode cannot except the checkout and the home folder, if they are in these folders. A permission profile
    with the same rules can, but the settings of `sandbox_workspace_write` do not apply to it. (Tried with 0.171.0: the
    worktree and TMPDIR stay writable, also in a closed home folder.)
    """
    if task.checkout is not None and task.worktree.is_relative_to(task.checkout):
        return WORKSPACE_WRITE
    folders = [Path(folder).resolve() for folder in ("/tmp", temporary) if folder]  # noqa: S108
    users = (path for path in (task.checkout, Path.home().resolve()) if path is not None)
    closed = [f'{_quoted(path)}="read"' for path in users if any(folder in path.parents for folder in folders)]
    if not closed:
        return WORKSPACE_WRITE
    profile = f'{{extends=":workspace",filesystem={{{",".join(closed)}}}}}'
    return f'default_permissions="{PROFILE_WRITE}"', f"permissions.{PROFILE_WRITE}={profile}"


def _quoted(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)
