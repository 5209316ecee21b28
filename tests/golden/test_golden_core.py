"""Bytes that must stay: ids that downstream keeps, and frames that a repeat is compared with.

A change here is a change for everyone who has stored one of these. Where it is meant, `python -m
tests.golden.test_golden_core` writes `core.json` anew; look at the difference, and say in the changelog what it breaks.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from schemas.frames import encode_resolved
from streams.ingest.regroup import shard_of
from streams.journal.frame import encode_frame
from tests.support.frames import Ev, Journal, by_topic, fold

HERE = Path(__file__).parent
PINNED: dict[str, Any] = json.loads((HERE / "core.json").read_text())
RULE = (HERE.parents[1] / "deploy" / "rules" / "unpaid-order-coupon.yaml").read_text()
BASE = 1_700_000_000_000


def _journal() -> Journal:
    ids = (("openid", "wx1", "o-1"), ("phone", "", "+8613912340001"), ("unionid", "", "n-1"))
    journal = Journal().rule(RULE)
    journal.add(Ev(BASE, "order_submitted", ids, "order-1", id="e-1"), until=BASE + 3_600_001)
    return journal.add(Ev(BASE + 3_600_002, "order_paid", order="order-1", time=BASE, id="e-2"))


def _digest(packed: bytes) -> str:
    return sha256(packed).hexdigest()


def pins() -> dict[str, Any]:
    """What the code of today makes of the fixed inputs."""
    journal = _journal()
    engine, outputs = fold(journal.frames)
    topics = by_topic(outputs)
    rows = json.dumps(list(engine.tables.rows()), default=lambda value: value.hex())
    return {
        "journal frames, sha256": [_digest(encode_frame(frame)) for frame in journal.frames],
        "resolved frames, sha256": [_digest(encode_resolved(output.resolved)) for output in outputs],
        "state, sha256": _digest(rows.encode()),
        "trigger": topics["triggers.coupon"][0][3],
        "revocation": topics["triggers.revoked"][0][3],
        "identity change": topics["identity.changes"][0][3],
        "keys": {topic: [record[1] for record in records] for topic, records in topics.items()},
        "shards of 4": {tenant: shard_of(tenant, 4) for tenant in ("t1", "acme", "品牌", "*")},
    }


@pytest.mark.parametrize("name", sorted(PINNED))
def test_what_is_pinned_has_not_changed(name: str) -> None:
    assert pins()[name] == PINNED[name]


def test_everything_is_pinned() -> None:
    assert sorted(pins()) == sorted(PINNED)


if __name__ == "__main__":
    (HERE / "core.json").write_text(json.dumps(pins(), indent=2, ensure_ascii=False, sort_keys=True) + "\n")
