"""What a BUS_URL for Kafka may say, and what our clients are told because of it."""

from __future__ import annotations

import inspect

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from chassis.bus.kafka.address import read_address
from chassis.bus.kafka.bus import topic_settings
from chassis.bus.kafka.options import consumer_options, producer_options
from chassis.settings import SettingsError

# Ways to reach the brokers and pieces of programs; none of them decides about loss, order or waiting.
LEFT_TO_THE_CLIENT = {
    "api_version", "client_rack", "connections_max_idle_ms", "consumer_timeout_ms", "exclude_internal_topics",
    "group_instance_id", "key_deserializer", "key_serializer", "loop", "max_poll_records", "partitioner",
    "sasl_kerberos_domain_name", "sasl_kerberos_service_name", "sasl_mechanism", "sasl_oauth_token_provider",
    "sasl_plain_password", "sasl_plain_username", "self", "ssl_context", "topics", "transaction_timeout_ms",
    "transactional_id", "value_deserializer", "value_serializer", "auto_commit_interval_ms",
}  # fmt: skip


def test_brokers_user_and_settings_are_read() -> None:
    address = read_address(
        "kafka://ledger:p%40ss@one:9093,two?tls=true&ca_file=/ca.pem&session_timeout_s=2&replication_factor=3"
    )
    assert address.servers == ("one:9093", "two:9092")
    assert (address.user, address.password) == ("ledger", "p@ss")
    assert (address.tls, str(address.ca_file)) == (True, "/ca.pem")
    assert (address.session_timeout_s, address.replication_factor) == (2.0, 3)
    assert "p@ss" not in repr(address)


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("kafka://one", "PLAINTEXT"),
        ("kafka://one?tls=true", "SSL"),
        ("kafka://u:p@one?tls=true", "SASL_SSL"),
        ("kafka://u:p@one?tls=false", "SASL_PLAINTEXT"),
    ],
)
def test_the_way_to_the_brokers_follows_from_the_url(url: str, protocol: str) -> None:
    options = read_address(url).connection_options()
    assert options["security_protocol"] == protocol
    assert ("ssl_context" in options) == ("SSL" in protocol)
    assert options.get("sasl_plain_password") == ("p" if "SASL" in protocol else None)


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("kafka://", "no broker"),
        ("kafka://one:port", "one:port"),
        ("kafka://one,,two", "no broker"),
        ("kafka://one:70000", "70000"),
        ("kafka://secret@one", "user and password"),
        ("kafka://user:secret@one", "tls"),
        ("kafka://one/topic", "path"),
        ("kafka://one?sesion_timeout_s=3", "sesion_timeout_s"),
        ("kafka://one?session_timeout_s=0.1", "session_timeout_s"),
        ("kafka://one?session_timeout_s=nan", "session_timeout_s"),
        ("kafka://one?replication_factor=0", "replication_factor"),
        ("kafka://one?tls=maybe", "tls"),
        ("kafka://[one", "malformed"),
        ("kafka://user:half?secret@one", "%3F"),
        ("kafka://user:half/secret@one", "%2F"),
        ("kafka://user:half#secret@one", "%23"),
    ],
)
def test_a_wrong_url_is_one_line_that_never_shows_the_password(url: str, word: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_address(url)
    said = str(refused.value)
    assert "BUS_URL" in said
    assert word in said
    assert "\n" not in said
    assert "secret" not in said


def test_a_missing_authority_file_is_named() -> None:
    with pytest.raises(SettingsError, match=r"ca_file /nowhere\.pem"):
        read_address("kafka://one?tls=true&ca_file=/nowhere.pem").connection_options()


@pytest.mark.parametrize(
    ("client", "options"),
    [
        (AIOKafkaProducer, producer_options(read_address("kafka://one"), "me")),
        (AIOKafkaConsumer, consumer_options(read_address("kafka://one"), "group", "me")),
    ],
)
def test_no_default_of_the_client_decides(client: type, options: dict[str, object]) -> None:
    known = set(inspect.signature(client.__init__).parameters)
    assert set(options) <= known
    assert known - set(options) <= LEFT_TO_THE_CLIENT


def test_what_is_unsafe_by_default_is_said_otherwise() -> None:
    producer = producer_options(read_address("kafka://one"), "me")
    assert (producer["acks"], producer["enable_idempotence"]) == ("all", True)
    consumer = consumer_options(read_address("kafka://one?session_timeout_s=10"), "group", "me")
    assert (consumer["enable_auto_commit"], consumer["auto_offset_reset"]) == (False, "none")
    assert consumer["heartbeat_interval_ms"] * 3 <= consumer["session_timeout_ms"] == 10_000
    assert consumer["rebalance_timeout_ms"] >= consumer["session_timeout_ms"]


def test_topics_are_made_to_keep_what_they_are_given() -> None:
    business, dead = topic_settings("payments", 3), topic_settings("payments.dead-letter", 1)
    assert business["retention.ms"] == str(30 * 24 * 3600 * 1000)
    assert dead["retention.ms"] == "-1"
    assert (business["min.insync.replicas"], dead["min.insync.replicas"]) == ("2", "1")
    assert business["unclean.leader.election.enable"] == "false"
