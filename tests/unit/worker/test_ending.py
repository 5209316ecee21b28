"""An end that takes too long is made hard; a second Ctrl-C leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from streams.worker.ending import Ending
from streams.worker.stack import _end

ENDS_IN_TIME = """
import signal, threading
from streams.worker.ending import Ending
stop = threading.Event()
Ending(60).on_signal(stop.set)
print("ready", flush=True)
stop.wait()
"""
TAKES_TOO_LONG = """
import signal, time
from streams.worker.ending import Ending
Ending(0.2).on_signal(lambda: None)
print("ready", flush=True)
while True:
    time.sleep(60)
"""
DEAF = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os.write(2, b"told\\n"))
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
ENDS_OTHERS = """
import sys, subprocess, signal
from streams.worker.stack import _end
signal.signal(signal.SIGINT, signal.default_int_handler)
deaf = [subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE) for _ in range(2)]
for one in deaf:
    one.stdout.readline()
print(*(one.pid for one in deaf), flush=True)
_end(deaf, 600.0)
"""


def _started(program: str, *arguments: str) -> tuple[subprocess.Popen[bytes], bytes]:
    """The process, and the first line that it printed."""
    command = [sys.executable, "-c", program, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    return process, process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_in_order_what_ends_in_time(number: int) -> None:
    process, _ = _started(ENDS_IN_TIME)
    process.send_signal(number)
    assert process.wait(30) == 0


def test_what_takes_too_long_is_ended_with_70() -> None:
    process, _ = _started(TAKES_TOO_LONG)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 70


def test_the_time_runs_from_the_first_signal_on() -> None:
    ended = threading.Event()
    ending = Ending(0.05, ended.set)
    ending.begin()
    ending.begin()
    assert ended.wait(30)


def test_an_interrupt_while_others_are_ended_leaves_none_of_them_behind() -> None:
    process, pids = _started(ENDS_OTHERS, DEAF)
    assert process.stderr is not None
    assert [process.stderr.readline() for _ in range(2)] == [b"told\n", b"told\n"]
    process.send_signal(signal.SIGINT)
    process.wait(30)
    for pid in map(int, pids.split()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_those_that_do_not_end_in_time_are_killed() -> None:
    deaf, _ = _started(DEAF)
    _end([deaf], 0.1)
    assert deaf.returncode == -signal.SIGKILL
