"""A control group (cgroup v2) for all processes that one supervisor starts, if the system delegates groups to the user.

`cgroup.kill` ends all members at once, even if they fork fast or change their session or parent. It is the last resort.
Joining a group can take 20 ms, so only the supervisor joins, and commands inherit the group.

Source: Documentation/admin-guide/cgroup-v2.rst of the kernel. Creating or joining a group fails without write access
(no delegation) and below a threaded group. Then no group is used.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from pytest_gump.system.processes.process_table import HAS_PROC, read_process

_PREFIX: Final = "gump-"
_KILL_S: Final = 5.0


def create_cgroup() -> Path | None:
    """Create an empty group below this process's own group; None if that is not possible.

    Groups that killed sessions left behind are ended and removed first.
    """
    parent = _own_cgroup() if HAS_PROC else None
    if parent is None:
        return None
    try:
        _remove_stale(parent)
        group = parent / f"{_PREFIX}{_namespace()}-{_owner(os.getpid())}-{time.monotonic_ns()}"
        group.mkdir()
    except OSError:
        return None
    if (group / "cgroup.kill").exists():  # Linux 5.14
        return group
    remove_cgroup(group)
    return None


def join_cgroup(group: str) -> bool:
    """Move this process, and all processes that it starts later, into the group. Return False if that fails."""
    try:
        Path(group, "cgroup.procs").write_text("0")
    except OSError:
        return False
    return True


def leave_cgroup(group: str) -> None:
    """Move this process, which must be the last member, to the parent group, and remove the group."""
    if join_cgroup(os.path.dirname(group)):  # noqa: PTH120
        remove_cgroup(Path(group))


def kill_cgroup(group: Path) -> bool:
    """Kill all members. Return False if some are left after 5 seconds."""
    try:
        (group / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + _KILL_S
        while "populated 1" in (group / "cgroup.events").read_text():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
    except OSError:
        return not group.exists()
    return True


def remove_cgroup(group: Path) -> None:
    """Remove the group and all groups below it. Groups with members stay."""
    for folder, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106 - the kernel removes the files of a cgroup


def _own_cgroup() -> Path | None:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except (OSError, ValueError):
        return None
    own = next((line[3:] for line in lines if line.startswith("0::/")), None)
    mounted = (line.split(" ") for line in mounts if " - cgroup2 " in line)
    root, mount = next(((fields[3], fields[4]) for fields in mounted), (None, None))
    if own is None or root is None or mount is None:
        return None
    inside = os.path.relpath(own, root)
    return None if inside.startswith("..") else Path(mount, inside)


def _namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116


def _owner(pid: int) -> str | None:
    process = read_process(pid)
    return None if process is None else f"{pid}-{process.started}"


def _remove_stale(parent: Path) -> None:
    for group in parent.glob(f"{_PREFIX}{_namespace()}-*-*-*"):
        owner = group.name.split("-", 2)[2].rpartition("-")[0]
        pid = owner.partition("-")[0]
        if pid.isdigit() and _owner(int(pid)) != owner:
            kill_cgroup(group)
            remove_cgroup(group)
