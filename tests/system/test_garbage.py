"""Python's garbage collection: switched off in a block, and existing objects frozen once."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest
from pytest_gump.system.garbage import no_garbage


def test_collection_is_off_in_the_block_and_on_after_an_error() -> None:
    states = []

    def block() -> None:
        with no_garbage():
            states.append(gc.isenabled())
            raise ValueError("the block")

    with pytest.raises(ValueError, match="the block"):
        block()
    assert (states, gc.isenabled()) == ([False], True)


def test_collection_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with no_garbage():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_process_freezes_existing_objects_only_once() -> None:
    code = (
        "import gc\nfrom pytest_gump.system.garbage import freeze_once\n"
        "freeze_once(); first = gc.get_freeze_count(); kept = [[] for _ in range(1000)]; freeze_once()\n"
        "print(first > 1000, gc.get_freeze_count() <= first)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
