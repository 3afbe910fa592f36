"""The connection to a Kafka cluster: checks that it is there, makes topics, is the factory of producers and consumers.

Topics are made to keep what they are given: replicated, in sync, never elected uncleanly, stamped by the brokers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from chassis.bus.kafka.address import KafkaAddress, read_address
from chassis.bus.kafka.consumer import KafkaConsumer
from chassis.bus.kafka.errors import kafka_errors
from chassis.bus.kafka.options import REQUEST_MAX_BYTES, REQUEST_TIMEOUT_MS, common_options
from chassis.bus.kafka.producer import KafkaProducer
from chassis.bus.port import PartitionCountMismatch
from chassis.errors import OperationalError
from contracts.topics import DEAD_LETTER_SUFFIX

CONNECT_TIMEOUT_S = 10.0
CREATE_TIMEOUT_S = 30.0
CREATED_POLL_S = 0.1
REPLICAS = 3
IN_SYNC = 2
RETENTION_MS = 30 * 24 * 3600 * 1000
FOR_EVER_MS = -1
_NO_ERROR = 0

log = structlog.get_logger(__name__)


class KafkaBus:
    """See ``chassis.bus.port.Bus``. Holds no connection itself."""

    def __init__(self, address: KafkaAddress) -> None:
        self._address = address

    @classmethod
    def at(cls, url: str) -> KafkaBus:
        """The bus that the URL names. Raises SettingsError."""
        return cls(read_address(url))

    @classmethod
    async def connect(cls, url: str) -> KafkaBus:
        """``at``, once a broker answered. Raises SettingsError, OperationalError."""
        bus = cls.at(url)
        await bus.reach()
        return bus

    async def reach(self) -> None:
        """See the port."""
        with kafka_errors("connecting"):
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await _knock(self._address)
        async with self._administrator():
            return

    async def ensure_topics(self, topics: Mapping[str, int]) -> None:
        """See the port."""
        async with self._administrator() as administrator:
            with kafka_errors("making topics"):
                async with asyncio.timeout(CREATE_TIMEOUT_S):
                    existing = await _partitions(administrator, topics, _exists)
                    missing = {topic: count for topic, count in topics.items() if topic not in existing}
                    await self._create(administrator, missing)
                    existing |= await _until_usable(administrator, missing)
        for topic, count in topics.items():
            if existing[topic] != count:
                raise PartitionCountMismatch(f"{topic} has {existing[topic]} partitions, not {count}")

    def producer(self, client_id: str) -> KafkaProducer:
        """See the port."""
        return KafkaProducer(self._address, client_id)

    def consumer(self, group: str, topics: Collection[str], client_id: str) -> KafkaConsumer:
        """See the port."""
        return KafkaConsumer(self._address, group, topics, client_id)

    async def close(self) -> None:
        """Nothing of its own to close."""

    async def _create(self, administrator: Any, missing: Mapping[str, int]) -> None:
        if not missing:
            return
        replicas = self._address.replication_factor or await self._replicas(administrator)
        if replicas < REPLICAS:
            log.warning("topics_with_few_replicas", replicas=replicas, topics=sorted(missing))
        answer = await administrator.create_topics(
            [NewTopic(topic, count, replicas, topic_configs=topic_settings(topic, replicas))
             for topic, count in missing.items()]
        )  # fmt: skip
        _raise_refusals(answer.topic_errors)

    async def _replicas(self, administrator: Any) -> int:
        """As many as there are brokers, to three. Raises OperationalError while some are away.

        Topics keep for ever what they are made with: while one of three brokers is up there must be none made.
        """
        named, up = len(self._address.servers), len((await administrator.describe_cluster())["brokers"])
        if up < named:
            raise OperationalError(
                f"kafka: making topics: {up} of the {named} brokers in BUS_URL are up; "
                "replication_factor=… there makes them nevertheless"
            )
        return min(REPLICAS, up)

    @asynccontextmanager
    async def _administrator(self) -> AsyncIterator[Any]:
        administrator = AIOKafkaAdminClient(**common_options(self._address, "gridledger-admin"))
        try:
            with kafka_errors("connecting"):
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await administrator.start()
            yield administrator
        finally:
            with kafka_errors("closing"):
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await administrator.close()


async def _knock(address: KafkaAddress) -> None:
    """Raises what stands between us and the last broker, if it is so for all: the client itself would not tell."""
    options = address.connection_options()
    refusals: list[Exception] = []
    for server in options.pop("bootstrap_servers"):
        host, _, port = server.rpartition(":")
        try:
            connection = await create_conn(host, int(port), request_timeout_ms=REQUEST_TIMEOUT_MS, **options)
        except (KafkaError, OSError, TimeoutError) as error:
            refusals.append(error)
        else:
            connection.close()
            return
    raise refusals[-1]


def topic_settings(topic: str, replicas: int) -> dict[str, str]:
    """What a topic of ours is made with. Dead letters are kept for ever, the rest for thirty days."""
    return {
        "min.insync.replicas": str(IN_SYNC if replicas >= REPLICAS else 1),
        "unclean.leader.election.enable": "false",
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": "delete",
        "retention.ms": str(FOR_EVER_MS if topic.endswith(DEAD_LETTER_SUFFIX) else RETENTION_MS),
        "retention.bytes": "-1",
        "max.message.bytes": str(REQUEST_MAX_BYTES),
    }


def _raise_refusals(answers: Sequence[Sequence[Any]]) -> None:
    """Raises KafkaError for a topic that was refused; another process may have made it first, which is fine."""
    for topic, code, *rest in answers:
        error = for_code(code)
        if code != _NO_ERROR and error is not TopicAlreadyExistsError:
            raise KafkaError(f"{topic}: {error.__name__}: {rest[0] if rest else ''}")


async def _partitions(
    administrator: Any, topics: Collection[str], counts: Callable[[Mapping[str, Any]], bool]
) -> dict[str, int]:
    """Number of partitions of those topics whose description counts."""
    described = await administrator.describe_topics(list(topics)) if topics else []
    return {topic["topic"]: len(topic["partitions"]) for topic in described if counts(topic)}


def _exists(topic: Mapping[str, Any]) -> bool:
    """Whether the topic is there, be it with partitions that nobody leads at the moment."""
    return bool(topic["error_code"] == _NO_ERROR)


def _is_usable(topic: Mapping[str, Any]) -> bool:
    return _exists(topic) and all(one["error_code"] == _NO_ERROR for one in topic["partitions"])


async def _until_usable(administrator: Any, topics: Collection[str]) -> dict[str, int]:
    """Wait until each new topic has its leaders."""
    while True:
        found = await _partitions(administrator, topics, _is_usable)
        if len(found) == len(topics):
            return found
        await asyncio.sleep(CREATED_POLL_S)
