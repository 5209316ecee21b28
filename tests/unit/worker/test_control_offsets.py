"""Offsets of partitions whose leader is not known for a moment are asked for again; any other refusal is told."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.worker.control import _answered

PART = TopicPartition("control", 0)


class Refusing:
    """Answers with these errors first, then with offset 7. No real broker can be made to answer so when asked to."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)

    def list_offsets(self, asked: Mapping[TopicPartition, Any], request_timeout: float) -> dict[TopicPartition, Any]:
        answer: Future[Any] = Future()
        if self.codes:
            answer.set_exception(KafkaException(KafkaError(self.codes.pop(0))))
        else:
            answer.set_result(SimpleNamespace(offset=7))
        return dict.fromkeys(asked, answer)


@pytest.mark.parametrize(
    "code", [KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.FENCED_LEADER_EPOCH, KafkaError.LEADER_NOT_AVAILABLE]
)
def test_a_leader_that_is_not_known_yet_is_waited_for(code: int) -> None:
    client: Any = Refusing(code, code)
    assert _answered(client, {PART: None}) == {("control", 0): 7}


def test_another_refusal_is_told_at_once() -> None:
    client: Any = Refusing(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException):
        _answered(client, {PART: None})
    assert client.codes == []
