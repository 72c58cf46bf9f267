from __future__ import annotations

import pytest
from pytest_gump.errors import AgentError
from pytest_gump.jobs.overrides import check_agents

from tests.workflow.loading import agent_error


def test_an_input_that_is_an_agent_must_be_a_known_one() -> None:
    check_agents(["who"], {"who": "codex", "what": "x"}, agent_error)
    check_agents(["who"], {}, agent_error)
    with pytest.raises(AgentError, match="--gump-input: input 'who': unknown agent 'codx'"):
        check_agents(["who"], {"who": "codx"}, agent_error)
