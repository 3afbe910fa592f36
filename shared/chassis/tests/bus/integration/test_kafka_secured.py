"""A broker that demands TLS, SCRAM-SHA-512 and rights: each service does its work with what Kubernetes gives it, and
whoever comes with anything less is refused in one clear line, in time, without the password.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chassis.bus import open_bus
from chassis.bus.kafka import producer as producer_module
from chassis.bus.port import Bus, BusRefused, OutgoingRecord
from chassis.errors import OperationalError
from contracts.topics import DEPLOYMENTS, LEDGER, PARTITIONS, PAYMENTS
from embedded.kafka import KafkaMissing
from testkit.choosing import CI_VARIABLE
from testkit.conformance.bus_harness import joined, numbered, publish
from testkit.secured_kafka import Authority, Operation, ResourceKind, Right, SecuredKafka
from testkit.waiting_for import eventually

USERS = Path(__file__).parents[5] / "deploy" / "k8s" / "base" / "kafka" / "users.yaml"
PATIENCE_S = 60.0
PASSWORD = "correct-horse"


def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(USERS.read_text()))


def rights_of_manifests() -> Iterator[Right]:
    for user in manifests():
        for rule in user["spec"]["authorization"]["acls"]:
            kind, name = ResourceKind[rule["resource"]["type"]], rule["resource"]["name"]
            for operation in rule["operations"]:
                yield Right(user["metadata"]["name"], kind, name, Operation[operation])


@pytest.fixture(scope="module")
def secured() -> Iterator[SecuredKafka]:
    users = [user["metadata"]["name"] for user in manifests()]
    try:
        kafka = SecuredKafka(dict.fromkeys([*users, "nobody"], PASSWORD))
    except KafkaMissing as missing:
        if os.environ.get(CI_VARIABLE):
            raise
        pytest.skip(str(missing))
    try:
        asyncio.run(prepare(kafka))
        yield kafka
    finally:
        kafka.close()


async def prepare(kafka: SecuredKafka) -> None:
    bus = await open_bus(kafka.open_url)
    await bus.ensure_topics(PARTITIONS)
    await bus.close()
    await kafka.give(rights_of_manifests())


async def bus_of(kafka: SecuredKafka, user: str) -> Bus:
    return await open_bus(kafka.url(user))


HEARD = {
    "ledger": (PAYMENTS, DEPLOYMENTS),
    "deployments": (DEPLOYMENTS,),
    "payments-api": (PAYMENTS, LEDGER, DEPLOYMENTS),
}
PUBLISHED = {
    "gateway-ingest": (PAYMENTS,),
    "ledger": (LEDGER,),
    "deployments": (DEPLOYMENTS,),
    "payments-api": (PAYMENTS, DEPLOYMENTS),
}


@pytest.mark.parametrize("service", PUBLISHED)
@pytest.mark.asyncio
async def test_a_service_publishes_what_it_must(secured: SecuredKafka, service: str) -> None:
    bus = await bus_of(secured, service)
    await bus.ensure_topics(PARTITIONS)
    parked = [f"{topic}.dead-letter" for topic in HEARD.get(service, ())]
    for topic in [*PUBLISHED[service], *parked]:
        await publish(bus, numbered(topic, 5))


@pytest.mark.parametrize("service", HEARD)
@pytest.mark.asyncio
async def test_a_service_hears_what_it_must(secured: SecuredKafka, service: str) -> None:
    everybody = await open_bus(secured.open_url)
    bus = await bus_of(secured, service)
    async with joined(bus, service, HEARD[service]) as member:
        for topic in HEARD[service]:
            await publish(everybody, [OutgoingRecord(topic, service.encode(), topic.encode())])
        await eventually(lambda: has_heard(member, service, len(HEARD[service])), PATIENCE_S)
        assert set(member.values(service.encode())) == {topic.encode() for topic in HEARD[service]}
        assert await member.consumer.lag() is not None


async def has_heard(member: Any, key: str, count: int) -> bool:
    await member.pump()
    return len(member.values(key.encode())) >= count


@pytest.mark.asyncio
async def test_a_topic_that_nobody_gave_is_not_written(secured: SecuredKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer_module, "PUBLISH_TIMEOUT_S", 5.0)
    bus = await bus_of(secured, "gateway-ingest")
    with pytest.raises(OperationalError, match="TopicAuthorizationFailed") as refused:
        await publish(bus, numbered(LEDGER, 5))
    assert PASSWORD not in str(refused.value)


@pytest.mark.asyncio
async def test_a_group_of_somebody_else_is_not_joined(secured: SecuredKafka) -> None:
    bus = await bus_of(secured, "deployments")
    with pytest.raises(OperationalError, match="GroupAuthorizationFailed"):
        async with joined(bus, "ledger", [DEPLOYMENTS]) as member:
            await eventually(member.pump, PATIENCE_S)


@pytest.mark.asyncio
async def test_a_topic_is_not_made_by_a_service(secured: SecuredKafka) -> None:
    bus = await bus_of(secured, "ledger")
    with pytest.raises(OperationalError, match="AuthorizationFailed"):
        await bus.ensure_topics({"of-nobody": 1})


WRONG_PASSWORD = "battery-staple"


@pytest.mark.parametrize(
    ("wrong", "reason", "kind"),
    [
        ({"password": WRONG_PASSWORD}, "SaslAuthenticationFailed", BusRefused),
        ({"tls": "tls=true&ca_file={stranger}"}, "CERTIFICATE_VERIFY_FAILED", BusRefused),
        ({"tls": "tls=true"}, "CERTIFICATE_VERIFY_FAILED", BusRefused),
        ({"host": "localhost"}, "mismatch", BusRefused),
        ({"tls": "tls=false"}, "KafkaConnectionError", OperationalError),
    ],
    ids=["password", "authority", "no authority", "host", "no TLS"],
)
@pytest.mark.asyncio
async def test_who_comes_wrongly_is_refused(
    secured: SecuredKafka,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    wrong: dict[str, str],
    reason: str,
    kind: type[OperationalError],
) -> None:
    stranger = tmp_path / "ca.pem"
    stranger.write_bytes(Authority().certificate)
    url = secured.url("ledger", **{name: value.format(stranger=stranger) for name, value in wrong.items()})
    with pytest.raises(OperationalError) as refused:
        await asyncio.wait_for(open_bus(url), PATIENCE_S)
    said = str(refused.value)
    assert type(refused.value) is kind
    assert reason in said
    assert "\n" not in said
    for secret in (PASSWORD, WRONG_PASSWORD):
        assert secret not in said + caplog.text
