"""Every wrong setting is one line that names its variable."""

from pathlib import Path

import pytest

from chassis.settings import SettingsError
from embedded.stack_settings import PORTS, read_settings


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a catalogue in its usual place."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "marketplace.toml").touch()
    return tmp_path


def test_without_any_variable_there_is_a_whole_stack(project: Path) -> None:
    settings = read_settings({}, project)

    assert settings.data_dir == project / ".gridledger"
    assert dict(settings.ports) == {process: port for process, (_, port) in PORTS.items()}
    assert settings.postgres_port is None
    assert (settings.bus, settings.kafka_port) == (None, None)
    assert settings.demo_payment is True
    assert settings.marketplace == project / "config" / "marketplace.toml"


def test_what_is_given_wins_and_an_empty_variable_is_none(project: Path) -> None:
    given = {"LEDGER_PORT": "9002", "DEPLOYMENTS_PORT": "", "DATA_DIR": "elsewhere", "POSTGRES_PORT": "5499"}

    settings = read_settings({**given, "DEMO_PAYMENT": "false", "BUS": "kafka", "KAFKA_PORT": "9092"}, project)

    assert settings.url("ledger") == "http://127.0.0.1:9002"
    assert settings.ports["deployments"] == PORTS["deployments"][1]
    assert settings.data_dir == project / "elsewhere"
    assert settings.postgres_port == 5499
    assert (settings.bus, settings.kafka_port) == ("kafka", 9092)
    assert settings.demo_payment is False


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LEDGER_PORT", "0"),
        ("LEDGER_PORT", "65536"),
        ("PAYMENTS_API_PORT", "-1"),
        ("PAYMENTS_API_PORT", "٨٠٠٠"),
        ("POSTGRES_PORT", "x"),
        ("KAFKA_PORT", "8000"),
        ("BUS", "pigeons"),
        ("DEMO_PAYMENT", "maybe"),
        ("MARKETPLACE_CONFIG", "nowhere.toml"),
        ("GATEWAY_INGEST_PORT", "8002"),
        ("POSTGRES_PORT", "8000"),
    ],
)
def test_a_wrong_value_is_one_line_with_its_variable(variable: str, value: str, project: Path) -> None:
    with pytest.raises(SettingsError, match=variable) as refused:
        read_settings({variable: value}, project)

    assert "\n" not in str(refused.value)
