"""Python's search for garbage: off in a block, and once without what is there already."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest
from pytest_gump.system.garbage import no_garbage


def test_the_search_is_off_in_the_block_and_on_after_an_error() -> None:
    states = []

    def block() -> None:
        with no_garbage():
            states.append(gc.isenabled())
            raise ValueError("the block")

    with pytest.raises(ValueError, match="the block"):
        block()
    assert (states, gc.isenabled()) == ([False], True)


def test_a_search_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with no_garbage():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_process_leaves_out_what_is_there_once_only() -> None:
    code = (
        "import gc\nfrom pytest_gump.system.garbage import freeze_once\n"
        "freeze_once(); first = gc.get_freeze_count(); kept = [[] for _ in range(1000)]; freeze_once()\n"
        "print(first > 1000, gc.get_freeze_count() <= first)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
