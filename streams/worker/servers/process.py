"""One server as a child process: start it, wait until it answers, disturb it, end it.

In:    a command line, a folder for its log, the ports it will listen on, a check that says it answers.
Out:   a `Server`; the process is gone when its block ends, when its start fails, and when we die, however we die.
Never: a shell, a process found by its name, a signal to a process that we did not start.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Self

HOST = "127.0.0.1"

# Below the range that the kernel gives to outgoing connections (32768 and up), so that no client of ours can
# sit on a server's port while that server is restarted.
_PORTS = range(20_000, 32_000)


class ServerUnavailable(Exception):
    """The server cannot run here; the message is one sentence that says what is missing or what it answered."""


@dataclass(eq=False)
class Server:
    """A server process of ours and what chaos tests do to it. Times are seconds, ports are on 127.0.0.1.

    `ready` says whether it answers; `start` asks it until it does.
    """

    name: str
    command: Sequence[str]
    folder: Path
    port: int
    ready: Callable[["Server"], bool]
    http_port: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    start_within_s: float = 60.0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`host:port`: the bootstrap servers of a broker, the native protocol of ClickHouse."""
        return f"{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """What the process printed, of all its starts."""
        return self.folder / f"{self.name}.log"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process of the newest start, running or not; raises RuntimeError before the first."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start it and return when it answers; raises ServerUnavailable, with nothing left running, when it won't."""
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        self._process = _spawn(self.command, self.log, self.environment)
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self, within_s: float = 15.0) -> None:
        """End it: SIGTERM, and SIGKILL when it has not gone in time. Nothing happens when it is gone already."""
        if not self.running:
            return
        self.process.send_signal(signal.SIGTERM)
        self.resume()
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, as the out-of-memory killer does it; returns when the process is gone. Its data stays."""
        if self.running:
            self.process.kill()
            self.process.wait()

    def restart(self) -> Self:
        """Start it again on the same folder and ports, after a `stop` if it still runs; returns when it answers."""
        self.stop()
        return self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers, as on a host that hangs."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: go on after `pause`."""
        self.process.send_signal(signal.SIGCONT)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.start_within_s
        while self.running and time.monotonic() < deadline:
            if _listens(self.port) and self.ready(self):
                return
            time.sleep(0.05)
        outcome = "gave no answer in time" if self.running else f"ended at once ({self.process.returncode})"
        raise ServerUnavailable(f"{self.name} {outcome}: {last_words(self.log.read_text(errors='replace'))}")


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """The server, answering; ended at the end of the block whatever happened in it and to it."""
    try:
        yield server.start()
    finally:
        server.stop()


def free_ports(count: int) -> list[int]:
    """So many different ports on 127.0.0.1 that nobody listens on now; raises ServerUnavailable when there are none."""
    candidates = random.SystemRandom().sample(_PORTS, 200)
    found = list(islice((port for port in candidates if _is_free(port)), count))
    if len(found) < count:
        raise ServerUnavailable(f"no {count} free ports between {_PORTS.start} and {_PORTS.stop}")
    return found


def find_program(name: str, comes_with: str) -> str:
    """The path of a program; raises ServerUnavailable, naming what it comes with."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if path is None:
        raise ServerUnavailable(f"{name} is missing; it comes with {comes_with}")
    return path


def last_words(output: str) -> str:
    """The last line of what a program printed that isn't blank or a frame of a Java stack trace."""
    lines = (line.strip() for line in reversed(output.splitlines()))
    return next((line for line in lines if line and not line.startswith(("at ", "... "))), "it printed nothing")


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


def _spawn(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the command so that the kernel kills it when we die, also by kill -9.

    The kernel means the death of the thread that started it, so that thread stays for as long as the process does.
    """
    guarded = [find_program("setpriv", "util-linux"), "--pdeathsig", "KILL", "--", *command]
    started: Future[subprocess.Popen[bytes]] = Future()
    threading.Thread(target=_spawn_and_stay, args=(guarded, log, environment, started), daemon=True).start()
    return started.result()


def _spawn_and_stay(
    command: Sequence[str], log: Path, environment: Mapping[str, str], started: "Future[subprocess.Popen[bytes]]"
) -> None:
    try:
        process = _popen(command, log, environment)
    except BaseException as error:
        started.set_exception(error)
        return
    started.set_result(process)
    process.wait()


def _popen(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Its own session, so that Ctrl-C reaches us first and we end it in order."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env={**os.environ, **environment},
            start_new_session=True,
        )
