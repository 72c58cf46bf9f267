"""Agents that print nonsense, too much or nothing, end unexpectedly, or leave processes running."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kits.rogue import Rogue

LONG = 'sys.stdout.write(\'{"type": "text", "text": "\'); [sys.stdout.write(\'x\' * 1000000) for _ in range(50)]\n'


@pytest.mark.slow
def test_a_line_of_50_megabytes_is_stored_and_not_read(rogue: Rogue) -> None:
    rogue.agent(LONG + "print('\"}'); write('new.py')")
    ran = rogue.run_apart()
    assert ran.result.outcome == "passed"
    assert ran.has_one_line("a line of 50000028 bytes in the agent's stream is stored, but not read")
    assert rogue.artifact("stream.ndjson").stat().st_size > 50_000_000
    assert ran.peak_mb < 150


@pytest.mark.slow
def test_a_final_event_of_50_megabytes_is_an_agent_error(rogue: Rogue) -> None:
    rogue.agent(LONG.replace("text", "result", 1) + "print('\"}')", ends=False)
    ran = rogue.run_apart()
    assert (ran.code, ran.result.outcome) == (1, "agent_error")
    assert ran.has_one_line("exit code 0 without a result")
    assert ran.peak_mb < 150


NOISE = (
    "b'\\xff\\xfe caf\\xe9\\n'",
    "b'\\0\\0\\0\\n'",
    "b'[1, 2]\\nnull\\n\"text\"\\n\\n\\r\\n'",
    'b\'{"type": 7}\\n{"type": "usage", "tokens": "many"}\\n{"type": "tool_call", "path": 3}\\n\'',
    "b'[' * 100000 + b'\\n'",
    'b\'{"type": "usage", "tokens": {"input": -1e999}, "cost_usd": NaN}\\n\'',
    "b'{\"type\": \"turn\"}' + b' ' * 100000 + b'\\n'",
    "b'\\x1b]0;title\\x07\\x1b[2J::error::x\\n'",
)


def test_nonsense_in_the_stream_is_ignored(rogue: Rogue) -> None:
    rogue.agent(
        f"for noise in ({', '.join(NOISE)}): sys.stdout.buffer.write(noise)\nsys.stdout.flush(); write('new.py')"
    )
    ran = rogue.run()
    assert (ran.code, ran.result.outcome) == (0, "passed"), ran.result
    assert [one.path for one in ran.result.changed] == ["new.py"]
    assert not any("\x1b" in line for line in ran.lines)


def test_half_a_line_after_the_result_is_ignored(rogue: Rogue) -> None:
    rogue.agent("done('All is well.'); sys.stdout.write('{\"type\": \"tex')", ends=False)
    ran = rogue.run()
    assert (ran.result.outcome, ran.result.message) == ("passed", "All is well.")


ENDINGS = {
    "half_a_result": ('sys.stdout.write(\'{"type": "result", "outc\')', "exit code 0 without a result"),
    "no_result": ("write('new.py')", "exit code 0 without a result"),
    "no_result_and_a_complaint": ("sys.exit('I give up')", "exit code 1 without a result: I give up"),
    "failure_after_success": ("done(); sys.exit(1)", "exit code 1 after a successful result"),
    "signal_after_success": ("done(); os.kill(os.getpid(), signal.SIGSEGV)", "ended by signal 11"),
    "lone_surrogate": ("say('result', outcome='agent_error', reason='\\ud800 broken \\x1b[31m')", " broken"),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_an_unexpected_end_is_an_agent_error_in_one_line(rogue: Rogue, case: str) -> None:
    script, reason = ENDINGS[case]
    rogue.agent(f"write('kept.py')\n{script}", ends=False)
    ran = rogue.run()
    assert (ran.code, ran.result.outcome) == (1, "agent_error")
    assert reason in ran.result.reason
    assert ran.has_one_line(reason)
    assert b"kept.py" in rogue.tree(ran.result)


def test_an_agent_that_prints_nothing_is_an_agent_error(rogue: Rogue) -> None:
    rogue.agent("sys.exit()", talks=False, ends=False)
    ran = rogue.run()
    assert ran.result.outcome == "agent_error"
    assert ran.has_one_line("exit code 0 without a result")


def test_unusual_text_of_an_agent_is_text_in_the_next_prompt(rogue: Rogue) -> None:
    rogue.workflow(
        "    output: artifact\n  - name: second\n    agent: script\n    prompt: 'Go on from: {steps.impl.output}'\n"
        "    allow_no_change: true\n"
    )
    rogue.agent(
        "if os.environ['GUMP_STEP'] == 'impl': write('.gump/out/artifact.txt', 'caf\\u00e9 {item.name} \\x1b[31m\\0')\n"
        "say('text', text='\\ud800 \\udfff')"
    )
    ran = rogue.run()
    assert [one.outcome for one in ran.results] == ["passed", "passed"], ran.results


def test_a_silent_agent_is_stopped_by_its_guard(rogue: Rogue) -> None:
    rogue.agent("write('kept.py'); time.sleep(600)", talks=False)
    ran = rogue.run("-o", "gump_silence_timeout=1s")
    assert (ran.code, ran.result.outcome, ran.result.guard) == (1, "guard", "silence")
    assert ran.has_one_line("guard silence: printed nothing for 1.0s")
    assert b"kept.py" in rogue.tree(ran.result)
    assert ran.seconds < 20


@pytest.mark.parametrize(
    "what", ["say('text', text='and on')", "sys.stdout.write('x' * 1000)", "sys.stderr.write('x')"]
)
def test_an_agent_that_prints_endlessly_is_stopped_by_its_guard(rogue: Rogue, what: str) -> None:
    rogue.workflow("    guard: {max_time: 1s}\n")
    rogue.agent(f"write('kept.py')\nwhile True: {what}")
    # A fast machine prints more than the default limits within a second.
    ran = rogue.run("-o", "gump_stream_bytes=1000000000000", "-o", "gump_stream_lines=1000000000")
    assert (ran.result.outcome, ran.result.guard) == ("guard", "max_time")
    assert ran.has_one_line("guard max_time: still running after 1.0s")
    assert b"kept.py" in rogue.tree(ran.result)
    assert ran.seconds < 30


def test_a_child_that_holds_stdout_open_does_not_delay_the_step(rogue: Rogue) -> None:
    rogue.agent("child = subprocess.Popen(['sleep', '600']); note_pid(child.pid); write('new.py')")
    ran = rogue.run()
    assert ran.result.outcome == "passed"
    assert ran.has_one_line("1 process that the agent left running was ended")
    assert ran.seconds < 20


ORPHAN = """
import textwrap
child = textwrap.dedent('''
    import os, signal, sys, time
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
    open(sys.argv[1], "a").write(f"{os.getpid()}\\\\n")
    time.sleep(600)
''')
command = [sys.executable, "-c", child, str(pids)]
line = "cd / && setsid env -i " + " ".join("'" + word + "'" for word in command) + " &"
subprocess.run(["sh", "-c", line], check=True)
while not pids.exists(): time.sleep(0.01)
"""


def test_an_orphan_in_its_own_session_that_ignores_term_is_ended(rogue: Rogue) -> None:
    rogue.agent(ORPHAN)
    ran = rogue.run()
    assert ran.result.outcome == "passed", ran.result.reason
    assert ran.has_one_line("1 process that the agent left running was ended")
    assert ran.seconds < 20


def test_an_agent_that_ignores_term_is_ended_with_its_children(rogue: Rogue) -> None:
    rogue.workflow("    guard: {max_time: 2s}\n")
    rogue.agent(
        f"{ORPHAN}\nsignal.signal(signal.SIGTERM, signal.SIG_IGN); note_pid(os.getpid())\nwhile True: time.sleep(9)"
    )
    ran = rogue.run()
    assert (ran.result.outcome, ran.result.guard) == ("guard", "max_time")
    assert ran.seconds < 30


def test_processes_that_gates_leave_running_are_ended_too(rogue: Rogue) -> None:
    rogue.workflow('    gate: [\'bash: setsid sleep 600 & echo $! >> "$(dirname "$HOME")/pids"\']\n')
    rogue.agent("write('new.py')")
    ran = rogue.run()
    assert ran.result.outcome == "passed"
    assert ran.seconds < 20
