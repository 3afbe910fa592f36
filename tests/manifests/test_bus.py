"""Kafka in the cluster is what the code expects: topics, users, groups, and who is scaled by which lag."""

from __future__ import annotations

from typing import Any

import pytest

from chassis.bus.kafka.bus import IN_SYNC, REPLICAS, RETENTION_MS, topic_settings
from chassis.bus.kafka.options import REQUEST_MAX_BYTES
from contracts.topics import DEPLOYMENTS, LEDGER, PARTITIONS, PAYMENTS, dead_letter_topic
from deployments.entrypoints.bus.handlers import GROUP as DEPLOYMENTS_GROUP
from gateway_ingest.entrypoints.bus.handlers import GROUP as INGEST_GROUP
from ledger.adapters.books import GROUP as LEDGER_GROUP
from ledger.entrypoints.bus.consumer import TOPICS as LEDGER_TOPICS
from payments_api.entrypoints.bus.handlers import GROUP as PAYMENTS_API_GROUP

pytestmark = pytest.mark.manifests

# From the design: who hears what, in which group, and who says what.
HEARS = {
    INGEST_GROUP: {PAYMENTS},
    LEDGER_GROUP: set(LEDGER_TOPICS),
    DEPLOYMENTS_GROUP: {DEPLOYMENTS},
    PAYMENTS_API_GROUP: {PAYMENTS, LEDGER, DEPLOYMENTS},
}
SCALED_BY_LAG = set(HEARS) - {INGEST_GROUP}  # by CPU: what it hears is little, webhooks are much
SAYS = {
    "gateway-ingest": {PAYMENTS},
    "ledger": {LEDGER, DEPLOYMENTS},
    "deployments": {DEPLOYMENTS},
    "payments-api": {PAYMENTS},
}
GREATEST_LAG_MAX = 50_000


def may(user: Any) -> set[tuple[str, str, str]]:
    """(kind, name, operation)."""
    return {
        (acl["resource"]["type"], acl["resource"]["name"], operation)
        for acl in user["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
        if acl.get("type", "allow") == "allow"
    }


def needed(service: str) -> set[tuple[str, str, str]]:
    """What a service does, parking and redriving what it hears included; and it may ask whether a topic exists."""
    hears, says = HEARS.get(service, set()), SAYS[service]
    found = {("topic", "*", "Describe")} | {("topic", topic, "Read") for topic in hears}
    found |= {("topic", topic, "Write") for topic in says | hears}
    found |= {("topic", dead_letter_topic(topic), "Write") for topic in hears}
    return found | ({("group", service, "Read"), ("group", service, "Describe")} if hears else set())


def as_kafka_says(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_the_topics_are_the_contract_s(manifests: Any) -> None:
    made = {name: topic["spec"]["partitions"] for name, topic in manifests.of("KafkaTopic").items()}
    assert made == dict(PARTITIONS)


def test_topics_are_set_as_the_code_would_set_them(manifests: Any) -> None:
    (pool,) = manifests.of("KafkaNodePool").values()
    replicas = min(REPLICAS, pool["spec"]["replicas"])
    for name, topic in manifests.of("KafkaTopic").items():
        assert topic["spec"]["replicas"] == replicas, name
        given = {key: as_kafka_says(value) for key, value in topic["spec"]["config"].items()}
        assert given == topic_settings(name, replicas), name


def test_nothing_that_production_acknowledged_is_lost_with_one_node(production: Any) -> None:
    (kafka,), (pool,) = production.of("Kafka").values(), production.of("KafkaNodePool").values()
    config = kafka["spec"]["kafka"]["config"]
    assert pool["spec"]["replicas"] == REPLICAS == config["default.replication.factor"]
    assert config["offsets.topic.replication.factor"] == REPLICAS
    assert config["min.insync.replicas"] == IN_SYNC
    assert {volume["deleteClaim"] for volume in pool["spec"]["storage"]["volumes"]} == {False}
    assert kafka["spec"]["kafka"]["rack"]["topologyKey"] == "topology.kubernetes.io/zone"


def test_brokers_are_strict(manifests: Any) -> None:
    (kafka,) = manifests.of("Kafka").values()
    config = kafka["spec"]["kafka"]["config"]
    assert config["auto.create.topics.enable"] is False
    assert config["unclean.leader.election.enable"] is False
    assert config["log.message.timestamp.type"] == "LogAppendTime"
    assert config["message.max.bytes"] >= REQUEST_MAX_BYTES
    assert config["replica.fetch.max.bytes"] >= config["message.max.bytes"]
    assert config["offsets.retention.minutes"] * 60_000 >= RETENTION_MS
    assert kafka["spec"]["kafka"]["authorization"] == {"type": "simple"}


def test_users_may_do_what_their_service_does(manifests: Any) -> None:
    users = manifests.of("KafkaUser")
    assert {name: may(user) for name, user in users.items() if name != "keda"} == {name: needed(name) for name in SAYS}
    looks = {("topic", "*", "Describe")} | {("group", group, "Describe") for group in SCALED_BY_LAG}
    assert may(users["keda"]) == looks


def test_passwords_come_from_the_store(manifests: Any) -> None:
    for name, user in manifests.of("KafkaUser").items():
        assert user["spec"]["authentication"]["type"] == "scram-sha-512"
        reference = user["spec"]["authentication"]["password"]["valueFrom"]["secretKeyRef"]
        assert reference == {"name": f"{name}-kafka", "key": "password"}
        assert manifests.secret(reference["name"])[reference["key"]] == "{{ .kafka_password }}"


def test_everything_of_strimzi_belongs_to_the_cluster(manifests: Any) -> None:
    (cluster,) = manifests.of("Kafka")
    owned = [found for found in manifests.objects if found["kind"] in ("KafkaNodePool", "KafkaTopic", "KafkaUser")]
    assert {found["metadata"]["labels"]["strimzi.io/cluster"] for found in owned} == {cluster}


def test_who_hears_is_scaled_by_the_lag_of_all_it_hears(production: Any) -> None:
    scalers = production.of("ScaledObject")
    assert set(scalers) == SCALED_BY_LAG
    for name, scaler in scalers.items():
        lags = [trigger["metadata"] for trigger in scaler["spec"]["triggers"] if trigger["type"] == "kafka"]
        assert {lag["topic"] for lag in lags} == HEARS[name]
        assert {lag["consumerGroup"] for lag in lags} == {name}
        assert {(lag["tls"], lag["sasl"]) for lag in lags} == {("enable", "scram_sha512")}
        assert {lag["bootstrapServers"] for lag in lags} == {"gridledger-kafka-bootstrap.gridledger.svc:9093"}
        assert all(0 < int(lag["lagThreshold"]) <= GREATEST_LAG_MAX for lag in lags)
        assert scaler["spec"]["scaleTargetRef"] == {"name": name}


def test_no_replica_is_left_without_a_partition(production: Any) -> None:
    for name, scaler in production.of("ScaledObject").items():
        most = min(PARTITIONS[topic] for topic in HEARS[name])
        assert scaler["spec"]["minReplicaCount"] < scaler["spec"]["maxReplicaCount"] <= most, name


def test_lag_that_cannot_be_read_takes_no_replica_away(production: Any) -> None:
    for name, scaler in production.of("ScaledObject").items():
        fallback = scaler["spec"]["fallback"]
        assert fallback["behavior"] == "currentReplicasIfHigher", name
        assert fallback["replicas"] == scaler["spec"]["minReplicaCount"], name


def test_keda_looks_as_its_own_user(production: Any) -> None:
    (authentication,) = production.of("TriggerAuthentication").values()
    given = {one["parameter"]: (one["name"], one["key"]) for one in authentication["spec"]["secretTargetRef"]}
    assert given == {
        "username": ("keda-kafka", "username"),
        "password": ("keda-kafka", "password"),
        "ca": ("gridledger-cluster-ca-cert", "ca.crt"),
    }
    assert production.secret("keda-kafka")["username"] == "keda"
