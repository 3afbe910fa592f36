"""One broker of a cluster: its place, its properties, its formatted storage, and the command that runs it.

Every node is broker and controller at once and listens on the loopback address. Starts nothing but Kafka's own
formatting tool.
"""

from __future__ import annotations

import base64
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from embedded.kafka.installation import KafkaError, KafkaInstallation
from embedded.ports import LOOPBACK

FORMAT_TIMEOUT_S = 60.0
REPLICAS_MAX = 3
RECORD_MAX_BYTES = 2 * 1024 * 1024
"""Above the bus's own limit of a record, which a producer's batch exceeds by its headers."""

JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true")
SMALL_JVM = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
"""For tests: starts fast and stays small; not for measuring."""


@dataclass(frozen=True, slots=True)
class KafkaNode:
    """A broker: its number from 1, the ports that it listens on, and the folder that it keeps everything in."""

    number: int
    port: int
    controller_port: int
    folder: Path

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"{LOOPBACK}:{self.port}"


def prepare(
    installation: KafkaInstallation,
    node: KafkaNode,
    cluster: Sequence[KafkaNode],
    cluster_id: str,
    settings: Mapping[str, str] | None = None,
    passwords: Mapping[str, str] | None = None,
) -> None:
    """Write the node's properties and format its storage if that was never done. Raises KafkaError.

    ``settings`` are properties that win over ours. ``cluster_id`` and ``passwords`` (of users, for SCRAM-SHA-512) only
    matter to a storage that is not formatted yet.
    """
    node.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    values = {**_properties(node, cluster), **(settings or {})}
    lines = (f"{name}={value}\n" for name, value in values.items())
    (node.folder / "server.properties").write_text("".join(lines), encoding="utf-8")
    if not (node.folder / "data" / "meta.properties").exists():
        _format(installation, node, cluster_id, passwords or {})


def command(installation: KafkaInstallation, node: KafkaNode, jvm: Sequence[str] = JVM) -> tuple[str, ...]:
    """The program and its arguments; ends orderly on SIGTERM."""
    return (*_java(installation, jvm), "kafka.Kafka", str(node.folder / "server.properties"))


def new_cluster_id() -> str:
    """A random name for a new cluster, in the form that Kafka wants; a leading hyphen would look like an option."""
    return "G" + base64.urlsafe_b64encode(secrets.token_bytes(16)).decode()[1:22]


def broker_settings(brokers: int) -> Mapping[str, str]:
    """What a broker of ours is told whatever runs it and wherever it listens, in a cluster of that many."""
    replicas = str(min(brokers, REPLICAS_MAX))
    in_sync = str(2 if brokers >= REPLICAS_MAX else 1)
    return {
        "auto.create.topics.enable": "false",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        # Few services share this machine: its own topics need not be spread fifty ways.
        "offsets.topic.num.partitions": "3",
        "message.max.bytes": str(RECORD_MAX_BYTES),
        "replica.fetch.max.bytes": str(RECORD_MAX_BYTES),
        # Nobody waits for members that do not exist, and a killed one is noticed after a second or more.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "500",
        # A killed broker may only come back once its old self is given up on.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }


def _properties(node: KafkaNode, cluster: Sequence[KafkaNode]) -> Mapping[str, str]:
    voters = (f"{other.number}@{LOOPBACK}:{other.controller_port}" for other in cluster)
    return {
        **broker_settings(len(cluster)),
        "process.roles": "broker,controller",
        "node.id": str(node.number),
        "controller.quorum.voters": ",".join(voters),
        "listeners": f"PLAINTEXT://{node.address},CONTROLLER://{LOOPBACK}:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{node.address}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(node.folder / "data"),
    }


def _format(installation: KafkaInstallation, node: KafkaNode, cluster_id: str, passwords: Mapping[str, str]) -> None:
    properties = str(node.folder / "server.properties")
    users = (("--add-scram", f"SCRAM-SHA-512=[name={name},password={said}]") for name, said in passwords.items())
    tool = ("kafka.tools.StorageTool", "format", "--ignore-formatted", "--cluster-id", cluster_id)
    formatted = subprocess.run(  # noqa: S603 - our own fixed program
        [*_java(installation, SMALL_JVM), *tool, "--config", properties, *chain.from_iterable(users)],
        capture_output=True,
        text=True,
        check=False,
        timeout=FORMAT_TIMEOUT_S,
    )
    if formatted.returncode != 0:
        said = (formatted.stderr or formatted.stdout).strip().splitlines() or ["no output"]
        raise KafkaError(f"Kafka could not format its storage in {node.folder}: {said[-1]}")


def _java(installation: KafkaInstallation, jvm: Sequence[str]) -> Sequence[str]:
    classes = f"{installation.jars}/*"
    return (str(installation.java), *jvm, f"-Dlog4j2.configurationFile={installation.logging}", "-cp", classes)
