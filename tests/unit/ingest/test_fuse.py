"""The fuse: when ingest stops, and when it does not."""

from __future__ import annotations

from streams.ingest.fuse import Fuse

TOPIC = "events.raw.app"


def test_it_blows_when_more_than_the_share_is_refused() -> None:
    assert Fuse(share=0.5, least=200).blown(TOPIC, kept=200, refused=201) == (
        "201 of the last 401 records of events.raw.app were refused, more than 50%: "
        "ingest stops before more of them become dead letters"
    )


def test_it_holds_at_the_share_itself() -> None:
    assert Fuse(share=0.5, least=200).blown(TOPIC, kept=200, refused=200) is None


def test_it_holds_while_few_are_refused() -> None:
    assert Fuse(share=0.5, least=200).blown(TOPIC, kept=0, refused=199) is None


def test_it_counts_over_cuts_and_each_topic_alone() -> None:
    fuse = Fuse(share=0.5, least=200)
    assert [fuse.blown(topic, 0, 150) is None for topic in (TOPIC, "control", TOPIC)] == [True, True, False]


def test_what_lies_before_the_window_is_forgotten() -> None:
    fuse = Fuse(share=0.5, least=100, window=1000)
    for _ in range(50):
        assert fuse.blown(TOPIC, kept=500, refused=0) is None
    assert fuse.blown(TOPIC, kept=0, refused=400) is None
    assert fuse.blown(TOPIC, kept=0, refused=400) is not None


def test_cuts_without_records_of_a_topic_change_nothing() -> None:
    fuse = Fuse(share=0.5, least=100)
    assert [fuse.blown(TOPIC, 0, count) is None for count in (0, 99, 0, 1)] == [True, True, True, False]
