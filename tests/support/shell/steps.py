"""Programs that stop before each thing that they do to the world, so that anything may happen in between.

In: an `async` function whose every `await` is one `Step`. Out: a `Process`: the step that is next, and the process
after it. Never: an event loop, a thread, a clock; a step that is half done unless somebody asks for that.

A process is its code and what it was told so far: run again from its start with the same answers it comes to the same
step. So it can be copied like a value, and two processes that were told the same are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from tests.support.shell.world import World

T = TypeVar("T")


class Died(Exception):
    """The process ends here, as a worker does: with nothing acknowledged that was not."""


@dataclass(frozen=True)
class Step(Generic[T]):
    """What a process does next to the world, in one go; it waits until the world is `ready` for it.

    `torn` is what stands of it where the process dies in the middle; `unheard` is what the process is told instead of
    the answer where that is lost on the way back.
    """

    does: str
    do: Callable[[World], T]
    ready: Callable[[World], bool] = lambda _: True
    torn: Callable[[World], None] | None = None
    unheard: Exception | None = None

    def __await__(self) -> Generator[Step[T], T, T]:
        return (yield self)


Then = tuple[Callable[..., Any], tuple[Hashable, ...]]
"""A program may end by naming the one that goes on from there, and its arguments; all else it forgets."""

Program = Callable[..., Coroutine[Any, Any, Then | None]]


@dataclass(frozen=True, slots=True, eq=False)
class Process:
    """A program that was told these answers, and stands before `step`; there is one object for each such process."""

    program: Program
    arguments: tuple[Hashable, ...]
    told: tuple[Any, ...]
    step: Step[Any]

    def after(self, answer: Any) -> Process | None:
        """The process that was told this too; an exception is raised in it. None where it has died."""
        return _run(self.program, self.arguments, (*self.told, answer))


def started(program: Program, *arguments: Hashable) -> Process | None:
    """A process before its first step."""
    return _run(program, arguments, ())


@lru_cache(maxsize=1 << 18)
def _run(program: Program, arguments: tuple[Hashable, ...], told: tuple[Any, ...]) -> Process | None:
    running = program(*arguments)
    try:
        step = running.send(None)
        for answer in told:
            step = running.throw(answer) if isinstance(answer, Exception) else running.send(answer)
    except StopIteration as end:
        return None if end.value is None else _run(*end.value, ())
    except Died:
        return None
    return Process(program, arguments, told, step)


def forget_runs() -> None:
    """Programs that were run are run anew: what they call is no longer what it was."""
    _run.cache_clear()
