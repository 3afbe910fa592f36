"""A Kafka that demands what Kubernetes' does: TLS, a user's password (SCRAM-SHA-512), and a right for each thing done.

A plain process with a second listener beside the open one, through which only the tests give out rights. Never used by
the product.
"""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from embedded.kafka import SMALL_JVM, KafkaNode, KafkaProcesses, installed_kafka
from embedded.ports import free_port

HOST = "127.0.0.1"
CERTIFICATE_LIFETIME = datetime.timedelta(days=1)
LITERAL_NAME, ALLOW, ANY_HOST = 3, 3, "*"


class ResourceKind(IntEnum):
    """Kafka's number of what a right is about."""

    topic = 2
    group = 3


class Operation(IntEnum):
    """Kafka's number of what a right allows."""

    Read = 3
    Write = 4
    Describe = 8


@dataclass(frozen=True, slots=True)
class Right:
    """What a user may do, and nobody without it. The name ``*`` stands for all."""

    user: str
    kind: ResourceKind
    name: str
    operation: Operation


class SecuredKafka:
    """One broker on the loopback address; ``passwords`` are those of its users. Raises KafkaMissing, KafkaError."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        installation = installed_kafka()
        self._passwords = passwords
        self._folder = Path(tempfile.mkdtemp(prefix="gridledger-secured-kafka-"))
        self._authority = Authority()
        self.ca_file = self._folder / "ca.pem"
        self.ca_file.write_bytes(self._authority.certificate)
        self._port = free_port()
        self._cluster = KafkaProcesses(
            installation, self._folder, settings=self._settings, passwords=passwords, jvm=SMALL_JVM
        )
        self.open_url = self._cluster.url
        """Where everybody may do everything."""
        try:
            self._cluster.start_all()
        except BaseException:
            self.close()
            raise

    def url(self, user: str, *, password: str | None = None, host: str = HOST, tls: str = "") -> str:
        """A BUS_URL for the user with a session timeout of a second; right unless told otherwise."""
        said = self._passwords[user] if password is None else password
        tls = tls or f"tls=true&ca_file={self.ca_file}"
        return f"kafka://{user}:{said}@{host}:{self._port}?session_timeout_s=1&{tls}"

    async def give(self, rights: Iterable[Right]) -> None:
        """Let users do more."""
        administrator = AIOKafkaAdminClient(bootstrap_servers=self.open_url.removeprefix("kafka://"))
        await administrator.start()
        try:
            for right in rights:
                asked = CreateAclsRequest(
                    right.kind, right.name, LITERAL_NAME, f"User:{right.user}", ANY_HOST, right.operation, ALLOW
                )
                answer = await administrator._send_to_controller(asked)
                assert [code for code, *_ in answer.creation_responses] == [0], answer
        finally:
            await administrator.close()

    def close(self) -> None:
        """End the broker and forget its data."""
        self._cluster.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _settings(self, node: KafkaNode) -> Mapping[str, str]:
        chain, key = self._authority.server_identity()
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return {
            "listeners": f"PLAINTEXT://{node.address},SECURED://{HOST}:{self._port},"
            f"CONTROLLER://{HOST}:{node.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{node.address},SECURED://{HOST}:{self._port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.secured.scram-sha-512.sasl.jaas.config": scram,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": _one_line(chain),
            "ssl.keystore.key": _one_line(key),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # Who comes without a name came through the open listener.
            "super.users": "User:ANONYMOUS",
        }


class Authority:
    """Signs certificates that hold for a day. Its key never leaves the memory."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("Gridledger's tests")
        signed = (
            _certificate(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = signed.public_bytes(serialization.Encoding.PEM)

    def server_identity(self) -> tuple[bytes, bytes]:
        """Certificate and key of a server that is reached as 127.0.0.1 and under no other name, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
        signed = (
            _certificate(self._name, _named("broker"), key.public_key())
            .add_extension(names, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return signed.public_bytes(serialization.Encoding.PEM), secret


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CERTIFICATE_LIFETIME)
        .not_valid_after(now + CERTIFICATE_LIFETIME)
    )


def _one_line(pem: bytes) -> str:
    """As a file of properties continues a value."""
    return " \\\n".join(pem.decode().splitlines())
