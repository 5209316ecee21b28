"""RocksDB as our stores use it: how a folder is opened, and what its errors are to us.

In: the folder of a store. Out: the database, or an error by what is to be done about it. Never: a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from rocksdict import AccessType, BlockBasedOptions, Cache, Options, Rdict

from streams.worker.state.store import DamagedStore, StoreLocked

_HELD = ("While lock file", "lock hold by current process")
_DAMAGED = ("Corruption", "No such file or directory")
_MANIFEST_BYTES = 16 << 10
_CACHE_BYTES = 64 << 20
_FILTER_BITS = 10
"""Of a key; of a hundred that are not there one is looked for in vain."""


def opened(folder: Path, filtered: bool) -> Rdict:
    """The database of this folder, a new one where there is none. `filtered`: rows will be looked for one by one.

    Raises StoreLocked, DamagedStore.
    """
    with telling(folder):
        options = _options(filtered)
        families = {"default": options}  # else it goes on with filters and cache as they were at the last closing
        return Rdict(str(folder), options, families, access_type=AccessType.read_write())


def _options(filtered: bool) -> Options:
    """A manifest is begun anew before it is longer than a block of it, 32 KiB.

    A page of zeros within a block makes RocksDB pass over the rest of the block: all that is newer, then.
    """
    options = Options(raw_mode=True)
    options.set_max_manifest_file_size(_MANIFEST_BYTES)
    if filtered:
        blocks = BlockBasedOptions()
        blocks.set_bloom_filter(_FILTER_BITS, block_based=False)
        blocks.set_block_cache(_cache())
        options.set_block_based_table_factory(blocks)
    return options


@cache
def _cache() -> Cache:
    """One for all stores of the process."""
    return Cache(_CACHE_BYTES)


@contextmanager
def telling(folder: Path) -> Iterator[None]:
    """RocksDB's errors by what is to be done about them."""
    try:
        yield
    except Exception as error:
        if any(words in str(error) for words in _HELD):
            raise StoreLocked(f"{folder} is still open in another process") from error
        if any(words in str(error) for words in _DAMAGED):
            raise DamagedStore(f"the store in {folder} is damaged: {error}") from error
        raise
