"""How Kafka's clients are configured, and what the source set looks like."""

import pytest
import yaml
from pydantic import SecretStr

from streams.settings import InvalidSettings, Kafka, Registry, Settings
from streams.topics import MAX_RECORD_BYTES, Topic, all_topics
from streams.worker.clients import consumer_config, producer_config, registry_of
from streams.worker.control import sources_text
from streams.worker.topics import Standing, differences

SECURE = Kafka(
    security_protocol="SASL_SSL", username="siyu", password=SecretStr("s3cret"), ca_file="/etc/ca.pem", shards=8
)


def test_tls_and_sasl_are_as_settings_say() -> None:
    config = producer_config(SECURE)
    assert config["security.protocol"] == "SASL_SSL"
    assert config["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (config["sasl.username"], config["sasl.password"]) == ("siyu", "s3cret")
    assert config["ssl.ca.location"] == "/etc/ca.pem"


def test_no_secret_is_printed() -> None:
    for config in (producer_config(SECURE), consumer_config(SECURE, "a"), consumer_config(SECURE, "a") | {"b": 1}):
        assert "s3cret" not in f"{config} {config!r}"


def test_without_sasl_no_user_is_named() -> None:
    assert not [name for name in producer_config(Kafka(username="a")) if name.startswith("sasl")]


def test_a_record_of_the_greatest_size_passes() -> None:
    assert producer_config(Kafka())["message.max.bytes"] == 2 * MAX_RECORD_BYTES
    consumer = consumer_config(Kafka(), "a")
    assert consumer["max.partition.fetch.bytes"] >= 2 * MAX_RECORD_BYTES
    assert consumer["receive.message.max.bytes"] >= consumer["fetch.max.bytes"] + 512


def test_transactions_are_left_off_where_the_broker_has_none() -> None:
    assert "transactional.id" in producer_config(Kafka(), "shard-1")
    assert "transactional.id" not in producer_config(Kafka(transactions=False), "shard-1")
    assert "transactional.id" not in producer_config(Kafka())


def test_what_is_given_wins() -> None:
    config = consumer_config(Kafka(), "a", enable_partition_eof=True, auto_offset_reset="latest")
    assert config["enable.partition.eof"] is True
    assert config["auto.offset.reset"] == "latest"


def test_consumers_commit_nothing_by_themselves() -> None:
    config = consumer_config(Kafka(), "a")
    assert config["enable.auto.commit"] is False
    assert config["isolation.level"] == "read_committed"


def test_without_a_server_schemas_have_the_package_s_own_ids() -> None:
    assert registry_of(Settings()).id_of("behaviour_event") > 0


def test_a_registry_s_password_is_not_in_a_refusal() -> None:
    settings = Settings(registry=Registry(url="ftp://a", username="u", password=SecretStr("s3cret")))
    with pytest.raises(InvalidSettings, match=r"^registry\.url: ") as refused:
        registry_of(settings)
    assert "s3cret" not in str(refused.value)


def test_the_source_set_is_the_yaml_that_the_engine_reads() -> None:
    text = sources_text({("events.raw.pos", 1): 5, ("events.raw.app", 0): 0})
    assert yaml.safe_load(text) == {
        "sources": [
            {"topic": "events.raw.app", "partition": 0, "start": 0},
            {"topic": "events.raw.pos", "partition": 1, "start": 5},
        ]
    }


def test_a_topic_of_other_partitions_is_told_with_the_mend() -> None:
    settings = Settings()
    there = {topic.name: Standing(topic.partitions, topic.partitions) for topic in all_topics(settings)}
    assert differences(settings, there) == []
    assert differences(settings, {}) == []
    assert _told(settings, "events.raw.pos", 8) == [
        "topic events.raw.pos has 8 partitions, 4 are wanted: set kafka.raw_partitions to 8"
    ]
    assert _told(settings, "control", 2) == [
        "topic control has 2 partitions, 1 are wanted: make it anew, since its order matters"
    ]
    assert _told(settings, "siyu.internal.journal", 2) == [
        "topic siyu.internal.journal has 2 partitions, 4 are wanted: set kafka.shards to 2"
    ]


def _told(settings: Settings, name: str, partitions: int) -> list[str]:
    assert any(isinstance(topic, Topic) and topic.name == name for topic in all_topics(settings))
    return differences(settings, {name: Standing(partitions, partitions)})
