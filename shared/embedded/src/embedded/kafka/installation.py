"""Where Java and Kafka's jars are: resolved by Maven from the project's ``deploy/kafka/pom.xml``, once per its text.

The jars are kept in ``.cache/kafka/<hash of the pom>`` of the checkout. Starts no broker.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[5]
DEPLOY = PROJECT / "deploy" / "kafka"
CACHE = PROJECT / ".cache" / "kafka"
JAVA_MIN = 17
JAVA_TIMEOUT_S = 30.0
MAVEN_TIMEOUT_S = 300.0


class KafkaError(Exception):
    """Kafka does not run; the text is one line for the person at the terminal."""


class KafkaMissing(KafkaError):
    """What Kafka needs cannot be had on this machine: Java, Maven or the jars."""


@dataclass(frozen=True, slots=True)
class KafkaInstallation:
    """Java's program, the folder with Kafka's jars, the logging configuration, Kafka's version."""

    java: Path
    jars: Path
    logging: Path
    version: str


def installed_kafka(
    deploy: Path = DEPLOY, cache: Path = CACHE, *, say: Callable[[str], None] = lambda _: None
) -> KafkaInstallation:
    """Find Java, and the jars, fetching them the first time. Raises KafkaMissing with what is missing.

    ``say`` is told when something starts that takes a while.
    """
    pom = deploy / "pom.xml"
    if not pom.is_file():
        raise KafkaMissing(f"Kafka needs {pom} of the project's checkout, which is not there")
    java = _java()
    jars = cache / hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    if not jars.is_dir():
        say("fetching Kafka's jars by Maven, once")
        _fetch(pom, jars)
    return KafkaInstallation(java, jars, deploy / "log4j2.properties", _version(pom))


def _java() -> Path:
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    try:
        said = subprocess.run(  # noqa: S603 - Java as the machine has it
            [found or "java", "-version"], capture_output=True, text=True, check=False, timeout=JAVA_TIMEOUT_S
        )
    except OSError:
        raise KafkaMissing(f"Kafka needs Java {JAVA_MIN} or newer; there is no program java") from None
    version = re.search(r'version "(\d+)', said.stderr)
    if version is None or int(version[1]) < JAVA_MIN:
        raise KafkaMissing(f"Kafka needs Java {JAVA_MIN} or newer; {found} is {version[1] if version else 'unknown'}")
    assert found is not None
    return Path(found)


def _version(pom: Path) -> str:
    version = ElementTree.parse(pom).findtext(".//{*}kafka.version")  # noqa: S314 - our own file
    assert version is not None, f"{pom} names no kafka.version"
    return version


def _fetch(pom: Path, jars: Path) -> None:
    """Let Maven copy the jars beside the place and rename, so that an interrupted copy is never taken for a whole."""
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaMissing(f"Kafka's jars are not in {jars.parent} yet, and there is no program mvn to fetch them")
    try:
        jars.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{jars.name}.", dir=jars.parent))
    except OSError as error:
        raise KafkaMissing(f"Kafka's jars cannot be kept in {jars.parent}: {error.strerror}") from error
    try:
        _run_maven(maven, pom, scratch)
        scratch.chmod(0o755)
        scratch.rename(jars)
    except OSError:
        # Another process finished the same copy first: theirs is as good as ours.
        if not jars.is_dir():
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run_maven(maven: str, pom: Path, target: Path) -> None:
    copied = subprocess.run(  # noqa: S603 - Maven as the machine has it
        [
            maven,
            "--batch-mode",
            "--quiet",
            "--strict-checksums",
            "--file",
            str(pom),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={target}",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=MAVEN_TIMEOUT_S,
    )
    if copied.returncode != 0:
        errors = [line for line in copied.stdout.splitlines() if line.startswith("[ERROR]")] or ["no output"]
        raise KafkaMissing(f"Maven could not fetch Kafka's jars: {errors[0].removeprefix('[ERROR]').strip()}")
