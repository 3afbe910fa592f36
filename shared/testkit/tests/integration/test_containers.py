"""Containers of a session: had or refused with a reason, reached on the loopback address only, gone afterwards."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testkit import choosing
from testkit.choosing import CannotBeHad, choose_image
from testkit.containers import KafkaContainers
from testkit.engine import SESSION_LABEL, EngineMissing, engine, require_image, session_labels, sweep
from testkit.kafka import IMAGE as KAFKA_IMAGE
from testkit.kafka import IMAGE_VARIABLE as KAFKA_VARIABLE
from testkit.kafka import KafkaFactory
from testkit.postgres import TestPostgres

NO_IMAGE = "gridledger.invalid/nobody/makes-this:1"


@pytest.fixture
def client() -> Iterator[Any]:
    try:
        with engine() as answering:
            yield answering
    except EngineMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture
def image(client: Any) -> str:
    """Some image that is here."""
    choice = choose_image(KAFKA_VARIABLE, KAFKA_IMAGE)
    if choice.image is None:
        pytest.skip(choice.reason)
    return choice.image


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The session's list, without what these tests do to it."""
    noted: list[str] = []
    monkeypatch.setattr(choosing, "_refusals", noted)
    return noted


def ended_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_without_an_engine_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")

    with pytest.raises(EngineMissing, match="no Docker engine answers") as refused:
        require_image("no-engine/no-image:1")
    assert "\n" not in str(refused.value)


def test_an_image_that_cannot_be_had_is_said_once_and_something_else_is_used(
    client: Any, refusals: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "")

    choices = [choose_image(f"TEST_NOBODY_{number}_IMAGE", NO_IMAGE) for number in range(2)]

    assert [choice.image for choice in choices] == [None, None]
    assert NO_IMAGE in choices[0].reason
    assert choosing.refusals() == (choices[0].reason,)


def test_in_ci_what_cannot_be_had_is_a_failure(
    client: Any, refusals: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(CannotBeHad, match=NO_IMAGE):
        choose_image("TEST_NOBODY_IN_CI_IMAGE", NO_IMAGE)
    assert refusals == []


def test_what_a_killed_session_left_is_removed_and_what_a_living_one_has_is_not(client: Any, image: str) -> None:
    dead = f"{socket.gethostname()}:{ended_pid()}"
    elsewhere = f"another-machine:{ended_pid()}"
    labels = {"left": dead, "ours": session_labels()[SESSION_LABEL], "theirs": elsewhere}
    made = {name: client.containers.create(image, labels={SESSION_LABEL: label}) for name, label in labels.items()}
    network = client.networks.create("gridledger-test-left", labels={SESSION_LABEL: dead})

    sweep.cache_clear()
    sweep()

    kept = {container.id for container in client.containers.list(all=True, filters={"label": SESSION_LABEL})}
    networks = {one.id for one in client.networks.list(filters={"label": SESSION_LABEL})}
    for name in ("ours", "theirs"):
        made[name].remove(v=True)
    assert made["left"].id not in kept
    assert {made["ours"].id, made["theirs"].id} <= kept
    assert network.id not in networks


def test_containers_are_reached_on_the_loopback_address_only(
    client: Any, image: str, make_kafka: KafkaFactory, postgres_server: TestPostgres
) -> None:
    make_kafka()

    running = client.containers.list(filters={"label": f"{SESSION_LABEL}={session_labels()[SESSION_LABEL]}"})
    published = [binding for one in running for bindings in one.ports.values() for binding in bindings or ()]
    assert published
    assert {binding["HostIp"] for binding in published} == {"127.0.0.1"}
    assert postgres_server.superuser_dsn


def test_a_cluster_leaves_nothing_in_the_engine(client: Any, image: str) -> None:
    before = ours(client)

    cluster = KafkaContainers(image, 1)
    assert len(ours(client) - before) == 2, "a container and its network"
    cluster.close()

    assert ours(client) == before


def ours(client: Any) -> set[str]:
    """What this session has in the engine now."""
    of_session = {"label": f"{SESSION_LABEL}={session_labels()[SESSION_LABEL]}"}
    containers = client.containers.list(all=True, filters=of_session)
    return {one.id for one in (*containers, *client.networks.list(filters=of_session))}
