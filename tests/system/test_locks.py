from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.locks import is_still, lock, try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLDER = """
import fcntl, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lease"
    path.touch()
    return path


@pytest.fixture
def handle(file: Path) -> Iterator[int]:
    descriptor = os.open(file, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("acquire", [lock, try_lock])
def test_lock_is_released_when_its_process_ends(acquire: object, file: Path, handle: int) -> None:
    assert callable(acquire)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        assert not acquire(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert not acquire(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        holder.kill()
    assert acquire(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_lock_succeeds_if_the_file_system_has_no_locks() -> None:
    reader, writer = os.pipe()
    os.close(writer)
    os.close(reader)
    with pytest.raises(OSError, match="Bad file descriptor"):
        try_lock(reader, fcntl.LOCK_EX)
    assert lock(reader, fcntl.LOCK_EX)


def test_removed_or_replaced_file_is_not_the_locked_one(file: Path, handle: int) -> None:
    assert is_still(handle, file)
    file.unlink()
    assert not is_still(handle, file)
    file.touch()
    assert not is_still(handle, file)
