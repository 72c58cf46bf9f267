"""`--gump-record` and the setting `gump_record`: where a run is recorded."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_gump.errors import ConfigError

if TYPE_CHECKING:
    from pytest_gump.settings.settings import Settings

_TAKEN: Final = pytest.StashKey[bool]()


def record_into(config: pytest.Config, settings: Settings, root: Path, run_id: str) -> Settings:
    """The settings with the folder of this run's cassette, which is made; without one where nothing is recorded.

    Raises:
        ConfigError: the folder holds a cassette already, cannot be written, or is to hold two runs.
    """
    named = config.getoption("gump_record")
    if config.getoption("gump_replay"):
        if named:
            raise ConfigError("--gump-record and --gump-replay exclude each other", hint="a replay makes nothing new")
        return replace(settings, record=None)
    if named:
        if config.stash.get(_TAKEN, False):
            raise ConfigError("--gump-record takes one run, and this session has several", hint="run them one by one")
        config.stash[_TAKEN] = True
        folder = Path(config.invocation_params.dir, named)
    elif settings.record is not None:
        folder = Path(root, os.path.expanduser(settings.record), run_id)  # noqa: PTH111 - pathlib's raises
    else:
        return settings
    from pytest_gump.agents.cassettes import cassette  # few runs are recorded

    cassette.create(folder)
    return replace(settings, record=str(folder.absolute()))
