"""The ways in which a ClickHouse dies around a statement.

In: a server of the test's own, a statement to it. Out: the server runs again; what the statement raised.
Never: a statement's second try.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sinks.sink import SinkUnavailable
from streams.worker.servers import Server


def dies_before(server: Server, statement: Callable[[], None]) -> None:
    """The statement goes to a server that is stopped and then killed."""
    server.pause()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(statement)
        server.kill()
        server.start()
        asked.result()


def dies_meanwhile(server: Server, statement: Callable[[], None]) -> None:
    """The server is killed somewhere inside the statement."""
    with ThreadPoolExecutor() as pool:
        killing = pool.submit(server.kill)
        try:
            statement()
        finally:
            killing.result()
            server.start()


def dies_after(server: Server, statement: Callable[[], None]) -> None:
    """The server is killed when it has done the statement, and nobody has heard of it."""
    statement()
    server.kill()
    server.start()
    raise SinkUnavailable("no answer")
