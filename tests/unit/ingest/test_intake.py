"""Ingest as a whole, and the shards that it deals to."""

from __future__ import annotations

from collections import Counter

from schemas.columns import EVENTS, IDS
from streams.ingest.regroup import shard_of
from streams.journal.frame import Frame
from tests.unit.ingest.raw import APP, COMMANDS, NOW_MS, POS, command, cut_of, event, identity, intake, stand


def test_a_dead_letter_tells_where_the_record_came_from_and_holds_its_bytes() -> None:
    value = event(amount_fen=-1)
    (letter,) = intake().process(stand((APP, event()), (APP, value))).dead_letters
    assert letter == {
        "stage": "ingest",
        "reason": "negative_amount",
        "detail": "amount_fen is -1, at least 0 is allowed",
        "raw": value,
        "raw_key": b"key",
        "topic": "events.raw.app",
        "partition": 0,
        "offset": 1,
        "schema_id": int.from_bytes(value[1:5], "big"),
        "time": NOW_MS + 1,
    }


def test_a_record_without_a_value_has_no_schema_id_and_no_bytes() -> None:
    (letter,) = intake().process(stand((APP, None))).dead_letters
    assert (letter["reason"], letter["raw"], letter["schema_id"]) == ("empty", b"", None)


def test_rows_say_which_raw_partition_offset_and_time_they_came_from() -> None:
    frame = intake().process(stand((POS, event()), (APP, event(amount_fen=-1)), (APP, event()))).frames[0]
    columns = frame.events.select(["source", "raw_offset", "received_ms"]).to_pylist()
    assert [(frame.ranges[one["source"]].of, one["raw_offset"]) for one in columns] == [(POS, 0), (APP, 1)]
    assert [one["received_ms"] for one in columns] == [NOW_MS, NOW_MS + 2]


def test_an_entry_stands_before_the_row_that_came_after_it() -> None:
    bad = (APP, event(amount_fen=-1))
    cut = stand((APP, event()), bad, (COMMANDS, command()), (APP, event()), (COMMANDS, command()))
    entries = intake().process(cut).frames[0].entries
    assert [(entry.kind, entry.at) for entry in entries] == [("refusal", 1), ("command", 1), ("command", 2)]


def test_tenants_are_dealt_out_to_shards_with_their_ids() -> None:
    shards = 2
    brands = ["acme", "orchid", "panda", "acme", "panda"]
    values = [(APP, event(tenant=brand, identities=[identity("uid", f"{at}")])) for at, brand in enumerate(brands)]
    frames = intake(shards).process(stand(*values)).frames
    assert len({shard_of(brand, shards) for brand in brands}) == shards
    for shard, frame in frames.items():
        mine = [(brand, f"{at}") for at, brand in enumerate(brands) if shard_of(brand, shards) == shard]
        assert _brands_and_ids(frame) == mine


def _brands_and_ids(frame: Frame) -> list[tuple[str, str]]:
    brands = frame.events["tenant"].to_pylist()
    return [(brands[one["row"]], one["value"]) for one in frame.ids.to_pylist()]


def test_the_shard_of_a_tenant_never_changes() -> None:
    assert [shard_of(brand, 64) for brand in ("acme", "orchid", "panda", "品牌")] == [12, 39, 1, 20]


def test_a_cut_without_events_still_tells_every_shard_how_far_it_got() -> None:
    cut = cut_of()._replace(ranges=stand((APP, None)).ranges)
    frames = intake(3).process(cut).frames
    assert [frame.ranges for frame in frames.values()] == [cut.ranges] * 3
    assert all(frame.events.schema == EVENTS and frame.ids.schema == IDS for frame in frames.values())


def test_ids_that_were_set_aside_are_counted_without_their_values() -> None:
    wrong = event(identities=[identity("phone", "12"), identity("phone", "13"), identity("openid", "o")])
    batch = intake().process(stand((APP, wrong)))
    assert batch.set_aside == Counter({"phone:invalid_phone": 2, "openid:no_scope": 1})
    assert batch.counts == Counter({("row", "events.raw.app"): 1})
