"""Java and the jars are found, or what is missing is said in one line; jars are fetched once and never half."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from embedded.kafka import KafkaMissing, installed_kafka

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <properties><kafka.version>9.8.7</kafka.version></properties>
</project>
"""
JAVA = "#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n"
MAVEN = """#!/bin/sh
echo called >>"{calls}"
for argument; do case $argument in -DoutputDirectory=*) touch "${{argument#*=}}/kafka.jar";; esac; done
{end}
"""
FAILURE = 'echo "[ERROR] Could not resolve org.apache.kafka"; echo "[ERROR] more of it"; exit 1'


class Machine:
    """A machine with just the programs that a test puts there, and a checkout."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.programs, self.deploy, self.cache = folder / "bin", folder / "deploy", folder / "cache"
        self.calls = folder / "calls"
        for made in (self.programs, self.deploy):
            made.mkdir()
        touch = shutil.which("touch")
        assert touch is not None
        (self.programs / "touch").symlink_to(touch)
        (self.deploy / "pom.xml").write_text(POM)
        monkeypatch.setenv("PATH", str(self.programs))
        monkeypatch.delenv("JAVA_HOME", raising=False)

    def has_java(self, version: str = "17.0.1") -> None:
        self._program("java", JAVA.format(version=version))

    def has_maven(self, end: str = "exit 0") -> None:
        self._program("mvn", MAVEN.format(calls=self.calls, end=end))

    def _program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def refusal(machine: Machine) -> str:
    with pytest.raises(KafkaMissing) as refused:
        installed_kafka(machine.deploy, machine.cache)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_jars_are_fetched_once_for_each_text_of_the_pom(machine: Machine) -> None:
    machine.has_java()
    machine.has_maven()

    first = installed_kafka(machine.deploy, machine.cache)
    again = installed_kafka(machine.deploy, machine.cache)
    (machine.deploy / "pom.xml").write_text(POM.replace("9.8.7", "9.9.0"))
    other = installed_kafka(machine.deploy, machine.cache)

    assert (first.version, other.version) == ("9.8.7", "9.9.0")
    assert (first.jars / "kafka.jar").is_file()
    assert again == first
    assert other.jars != first.jars
    assert machine.calls.read_text().splitlines() == ["called", "called"]


def test_jars_that_are_there_need_no_maven(machine: Machine) -> None:
    machine.has_java("21")
    machine.has_maven()
    installed_kafka(machine.deploy, machine.cache)
    (machine.programs / "mvn").unlink()

    assert installed_kafka(machine.deploy, machine.cache).version == "9.8.7"


def test_an_interrupted_fetch_is_never_taken_for_a_whole(machine: Machine) -> None:
    machine.has_java()
    machine.has_maven(FAILURE)
    refusal(machine)
    assert [path.name for path in machine.cache.iterdir()] == []

    machine.has_maven()
    assert (installed_kafka(machine.deploy, machine.cache).jars / "kafka.jar").is_file()


def test_without_java_that_is_said(machine: Machine) -> None:
    assert refusal(machine) == "Kafka needs Java 17 or newer; there is no program java"


def test_an_old_java_is_named(machine: Machine) -> None:
    machine.has_java("11.0.20")
    assert refusal(machine).endswith("java is 11")


def test_without_maven_that_is_said(machine: Machine) -> None:
    machine.has_java()
    assert "there is no program mvn" in refusal(machine)


def test_what_maven_complains_of_first_is_passed_on(machine: Machine) -> None:
    machine.has_java()
    machine.has_maven(FAILURE)
    assert refusal(machine).endswith("Could not resolve org.apache.kafka")


def test_outside_of_a_checkout_that_is_said(machine: Machine) -> None:
    (machine.deploy / "pom.xml").unlink()
    assert "pom.xml" in refusal(machine)
