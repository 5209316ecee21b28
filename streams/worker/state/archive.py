"""Where the snapshots of one shard are kept: a local folder, or any place that fsspec knows by its URL.

In: a snapshot to keep. Out: those that are kept, the newest first, and their rows.
Never: a snapshot that is seen before all of it is there; one of another journal or changelog counted or removed.

A file's name is the changelog offset that it reaches, and the id of the changelog; its folder names cluster, journal
and shard. It is written under another name, synced where it is local, moved, and read again before it counts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from streams.worker.state.origin import Origin
from streams.worker.state.snapshot import Header, UnusableSnapshot, read, verify
from streams.worker.state.store import Part

KEPT = 2
_NAME = re.compile(r"(?P<changelog>\d{20})-(?P<of>[^./]+)(?P<unfinished>\.\w+\.part)?")


class Kept(NamedTuple):
    """A snapshot in its place: it holds what the changelog with the id `of` has below this offset."""

    changelog: int
    of: str
    path: str


class Archive:
    """The snapshots of a shard. Calls may block, and raise what the place's driver does: OSError and others."""

    def __init__(self, url: str, shard: int, here: Origin) -> None:
        self._shard = shard
        self.here = here
        self._fs, root = fsspec.url_to_fs(url)
        self._folder = "/".join((root.rstrip("/"), _word(here.cluster), _word(here.journal), f"shard-{shard:04d}"))

    def kept(self) -> list[Kept]:
        """Snapshots beside this changelog, the newest first."""
        return [one for one in self._files(unfinished=False) if one.of == _word(self.here.changelog)]

    def others(self) -> list[str]:
        """Ids of changelogs that stood beside the same journal before, and of which there are snapshots."""
        return sorted({one.of for one in self._files(unfinished=False)} - {_word(self.here.changelog), _word("")})

    def _files(self, unfinished: bool) -> list[Kept]:
        self._fs.invalidate_cache(self._folder)
        paths: list[str] = []
        with suppress(FileNotFoundError):
            paths = self._fs.ls(self._folder, detail=False)
        named = [(_NAME.fullmatch(path.rpartition("/")[2]), path) for path in paths]
        found = [
            Kept(int(name["changelog"]), name["of"], path)
            for name, path in named
            if name is not None and bool(name["unfinished"]) == unfinished
        ]
        return sorted(found, reverse=True)

    @contextmanager
    def load(self, kept: Kept) -> Iterator[tuple[Header, Iterator[Part]]]:
        """Header and rows. Raises UnusableSnapshot, also while the rows are read."""
        with self._fs.open(kept.path, "rb") as file:
            header, parts = read(file)
            if (header.shard, header.position.changelog) != (self._shard, kept.changelog):
                raise UnusableSnapshot(f"it is of shard {header.shard} at changelog offset {header.position.changelog}")
            yield header, parts

    def save(self, changelog: int, pieces: Iterable[bytes]) -> Kept:
        """Keeps the snapshot that these pieces are, and answers when it was found whole in its place.

        An error, also one that `pieces` raises, leaves those that were kept before. Raises UnusableSnapshot.
        """
        path = f"{self._folder}/{changelog:020d}-{_word(self.here.changelog)}"
        part = f"{path}.{uuid4().hex}.part"
        self._fs.makedirs(self._folder, exist_ok=True)
        try:
            with self._fs.open(part, "wb") as file:
                for piece in pieces:
                    file.write(piece)
                self._sync(file)
            self._move(part, path)
        except BaseException:
            with suppress(FileNotFoundError):
                self._fs.rm_file(part)
            raise
        with self._fs.open(path, "rb") as file:
            verify(file)
        return Kept(changelog, _word(self.here.changelog), path)

    def drop_old(self) -> list[Kept]:
        """Removes all but the newest two of this changelog, and what was never finished before; answers those two."""
        kept = self.kept()
        given_up = [one for one in self._files(unfinished=True) if kept and one.changelog < kept[0].changelog]
        for old in [*kept[KEPT:], *given_up]:
            with suppress(FileNotFoundError):
                self._fs.rm_file(old.path)
        return kept[:KEPT]

    def _sync(self, file: Any) -> None:
        if isinstance(self._fs, LocalFileSystem):
            file.flush()
            os.fsync(file.fileno())

    def _move(self, part: str, path: str) -> None:
        """At once: a reader sees none of it, or all. Objects have no rename; theirs are seen when they are complete."""
        if not isinstance(self._fs, LocalFileSystem):
            self._fs.cp_file(part, path)
            self._fs.rm_file(part)
            return
        os.replace(part, path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _word(known: str) -> str:
    """An id as a part of a path."""
    return quote(known, safe="").replace(".", "%2E") or "unknown"
