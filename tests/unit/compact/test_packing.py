"""Keys and packed rows where they grow, are reused, or can't be packed."""

from __future__ import annotations

import pytest

from streams.compact.keys import Hashes, Texts, Wiped
from streams.compact.rows import Ids, Link, Node
from streams.compact.shelves import Loose
from streams.identity.nodes import hash_of

MANY = 5_000
UUID = "0b6a9c1e-4a6b-4a52-9a0e-0123456789ab"


def _node(number: int) -> str:
    return f"t\x1fuid\x1f\x1fU{number}"


def test_every_key_is_found_under_its_number_after_the_index_grew() -> None:
    texts = Texts()
    assert [texts.add(_node(number)) for number in range(MANY)] == list(range(MANY))
    assert [texts.find(_node(number)) for number in range(MANY)] == list(range(MANY))
    assert [texts.text(number) for number in range(MANY)] == [_node(number) for number in range(MANY)]
    assert texts.find(_node(MANY)) == -1


def test_a_key_that_looks_like_the_end_or_the_beginning_of_another_is_another() -> None:
    texts = Texts()
    keys = [
        "t\x1fuid\x1f\x1fab",
        "t\x1fuid\x1f\x1fa",
        "ab",
        "\x1fab",
        "",
        "t\x1fuid\x1f\x1fab\x1fcontested",
        "uid\x1fab",
    ]
    assert [texts.add(key) for key in keys] == [texts.find(key) for key in keys] == list(range(len(keys)))
    assert [texts.text(number) for number in range(len(keys))] == keys


def test_only_32_hex_digits_are_names_of_persons() -> None:
    hashes = Hashes()
    name = hash_of("a", b"salt")
    assert hashes.text(hashes.add(name)) == name
    for other in (name.upper(), name[1:], f"{name[:-2]} 0", "x" * 32):
        assert hashes.find(other) == -1
        with pytest.raises(ValueError, match=r"hex"):
            hashes.add(other)


def test_a_wiped_key_is_nowhere_and_comes_back_as_another() -> None:
    texts = Texts()
    number, other = texts.add(_node(1)), texts.add(_node(2))
    texts.wipe(_node(1))
    texts.wipe(_node(3))
    assert (texts.find(_node(1)), texts.find(_node(2))) == (-1, other)
    assert b"U1" not in texts._bytes
    with pytest.raises(Wiped):
        texts.text(number)
    assert texts.text(texts.add(_node(1))) == _node(1)


def test_the_room_that_a_longer_row_leaves_is_taken_by_the_next_of_its_size() -> None:
    shelf = Loose()
    for number in range(MANY):
        shelf.put(number, b"short")
        shelf.put(number, b"longer" * 8)
        shelf.drop(number)
    assert len(shelf.rows) < 1_000
    assert list(shelf.numbers()) == []


def test_packed_nodes_take_fifty_bytes_or_less_an_id() -> None:
    table = Ids(most_at_hand=1).table("nodes")
    assert table is not None
    for number in range(MANY):
        table.put(_node(number), Node(hash_of(str(number), b"s"), hash_of(str(number), b"s"), number + 1, number))
    assert len(table.at_hand) <= 2
    assert len(table._shelf.rows) <= 50 * MANY


def test_a_row_that_cannot_be_packed_exactly_is_kept_as_it_is() -> None:
    table = Ids(most_at_hand=1).table("links")
    assert table is not None
    rows = {
        "command": (Link("a", UUID, 1, 2, True),),
        "capitals": (Link("a", UUID.upper(), 1, 2, False),),
        "long": (Link("a", "e" * 256, 1, 2, False),),
        "none": (),
        "other": "a text",
    }
    for key, row in rows.items():
        table.put(key, row)
    assert {key: table[key] for key in rows} == rows
    assert dict(table.items()) == rows
