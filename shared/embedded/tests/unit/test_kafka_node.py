"""A node's properties fit its cluster: copies, quorum, addresses. Nothing listens beyond the loopback address."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest

from embedded.kafka import KafkaInstallation, KafkaNode, broker_settings, new_cluster_id, prepare

INSTALLATION = KafkaInstallation(Path("/no/java"), Path("/no/jars"), Path("/no/logging"), "4")


def nodes(folder: Path, count: int) -> list[KafkaNode]:
    made = [KafkaNode(number, 9000 + number, 9100 + number, folder / str(number)) for number in range(1, count + 1)]
    for node in made:
        # Formatted before: no Java is needed.
        (node.folder / "data").mkdir(parents=True)
        (node.folder / "data" / "meta.properties").touch()
    return made


def prepared(node: KafkaNode, cluster: list[KafkaNode], settings: Mapping[str, str] | None = None) -> dict[str, str]:
    prepare(INSTALLATION, node, cluster, "id", settings)
    lines = (node.folder / "server.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize(
    ("brokers", "replicas", "in_sync"), [(1, "1", "1"), (2, "2", "1"), (3, "3", "2"), (5, "3", "2")]
)
def test_copies_are_as_many_as_the_cluster_can_hold(brokers: int, replicas: str, in_sync: str) -> None:
    settings = broker_settings(brokers)

    assert (settings["default.replication.factor"], settings["min.insync.replicas"]) == (replicas, in_sync)
    assert settings["offsets.topic.replication.factor"] == replicas
    assert settings["auto.create.topics.enable"] == "false"


def test_every_node_knows_all_voters_and_listens_on_the_loopback_address_only(tmp_path: Path) -> None:
    cluster = nodes(tmp_path, 3)

    second = prepared(cluster[1], cluster)

    assert second["node.id"] == "2"
    assert second["controller.quorum.voters"] == "1@127.0.0.1:9101,2@127.0.0.1:9102,3@127.0.0.1:9103"
    assert second["listeners"] == "PLAINTEXT://127.0.0.1:9002,CONTROLLER://127.0.0.1:9102"
    assert second["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9002"


def test_given_settings_win(tmp_path: Path) -> None:
    (node,) = nodes(tmp_path, 1)

    assert prepared(node, [node], {"message.max.bytes": "7"})["message.max.bytes"] == "7"


def test_a_cluster_id_is_sixteen_bytes_in_kafka_s_alphabet() -> None:
    made = {new_cluster_id() for _ in range(200)}

    assert len(made) == 200
    assert all(len(base64.urlsafe_b64decode(f"{name}==")) == 16 for name in made)
    assert not any(name.startswith("-") for name in made)
