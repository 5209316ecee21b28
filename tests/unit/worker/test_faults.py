"""What the log tells of exceptions."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from streams.worker.faults import told_of, traced
from streams.worker.state.log import OtherLog


def raised(text: str) -> Exception:
    try:
        int(text)
    except ValueError as error:
        return error
    raise AssertionError


def test_our_own_sentences_and_those_of_broker_and_system_are_told() -> None:
    assert (
        told_of(OtherLog("siyu.internal.journal/0 lacks offset 3"))
        == "OtherLog: siyu.internal.journal/0 lacks offset 3"
    )
    assert "no space" in told_of(OSError(28, "no space"))
    assert "_TIMED_OUT" in told_of(KafkaException(KafkaError(KafkaError._TIMED_OUT)))


def test_of_any_other_the_kind_and_the_place_are_told_and_not_what_it_quotes() -> None:
    error = raised("13800000001 wants tea")
    assert told_of(error).startswith("ValueError in ")
    assert "13800000001" not in traced(error)
    assert "int(text)" in traced(error)
