"""`--gump-record` and `gump_record`: create the cassette of a run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_gump.errors import ConfigError

if TYPE_CHECKING:
    from pytest_gump.settings.settings import Settings

_USED: Final = pytest.StashKey[bool]()


def record_into(config: pytest.Config, settings: Settings, root: Path, run_id: str) -> Settings:
    """Create the cassette and return the settings with its folder; without a folder if the run is not recorded.

    Raises:
        ConfigError: The folder already has a cassette, cannot be written, or is named for several runs.
    """
    named = config.getoption("gump_record")
    if config.getoption("gump_replay"):
        if named:
            raise ConfigError("--gump-record cannot be combined with --gump-replay", hint="leave out one of them")
        return replace(settings, record=None)
    if named:
        if config.stash.get(_USED, False):
            raise ConfigError(
                "--gump-record records one run, but this session has several", hint="start each run in its own session"
            )
        config.stash[_USED] = True
        folder = Path(config.invocation_params.dir, named)
    elif settings.record is not None:
        folder = Path(root, os.path.expanduser(settings.record), run_id)  # noqa: PTH111 - Path.expanduser can raise
    else:
        return settings
    from pytest_gump.agents.cassettes import cassette  # needed only for a recording

    cassette.create(folder)
    return replace(settings, record=str(folder.absolute()))
