"""Which ids came together before and brought nothing new: there is no need to look again.

In: the ids of an event, and where it went. Out: the same for the same ids. Never: anything that the outcome depends on:
what is forgotten here is only decided again, to the same effect.
"""

from __future__ import annotations

from collections.abc import Iterable

_MOST = 100_000


class Settled(dict[tuple[str, ...], str]):
    """Ids of an event, in its order → the node that it goes to."""

    def __init__(self) -> None:
        super().__init__()
        self._by_node: dict[str, list[tuple[str, ...]]] = {}
        self._noted = 0

    def remember(self, nodes: tuple[str, ...], of: Iterable[str], goes_to: str) -> None:
        """Events with exactly these ids go there, until one of `of` is forgotten."""
        if self._noted >= _MOST:  # what is forgotten stays listed under its other nodes until then
            self.clear()
        self._noted += 1
        self[nodes] = goes_to
        for node in {*nodes, *of}:
            self._by_node.setdefault(node, []).append(nodes)

    def forget(self, node: str) -> None:
        """What came together with this node must be looked at again."""
        for nodes in self._by_node.pop(node, ()):
            self.pop(nodes, None)

    def clear(self) -> None:
        """Forgets all."""
        super().clear()
        self._by_node.clear()
        self._noted = 0
