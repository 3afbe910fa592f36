"""The environment wins over the file, the file over the defaults; what is wrong is one line without a secret."""

from pathlib import Path

import pytest

from chassis.settings import ServiceSettings, SettingsError, is_loopback, load


class SampleSettings(ServiceSettings):
    service = "sample"

    rate: float = 1.0


COMPLETE = {
    "DATABASE_URL": "postgresql://sample_app:hunter2@127.0.0.1/sample",
    "BUS_URL": "memory://",
    "SERVICE_TOKEN": "t0ken",
    "PORT": "8009",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in SampleSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("SETTINGS_FILE", raising=False)
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_a_complete_environment_is_read(environment: pytest.MonkeyPatch) -> None:
    settings = load(SampleSettings)
    assert settings.port == 8009
    assert settings.host == "127.0.0.1"
    assert settings.database_url.get_secret_value() == COMPLETE["DATABASE_URL"]


def test_secrets_are_masked(environment: pytest.MonkeyPatch) -> None:
    shown = repr(load(SampleSettings)) + load(SampleSettings).model_dump_json()
    assert "hunter2" not in shown
    assert "t0ken" not in shown


def test_the_environment_wins_over_the_file_and_the_file_over_defaults(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('rate = 2.5\nport = 1111\nhost = "::1"\n[other]\nx = 1\n')
    environment.setenv("SETTINGS_FILE", str(file))
    settings = load(SampleSettings)
    assert (settings.rate, settings.port, settings.host) == (2.5, 8009, "::1")


def test_an_empty_variable_counts_as_not_set(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RATE", "")
    assert load(SampleSettings).rate == 1.0


@pytest.mark.parametrize("name", list(COMPLETE))
def test_a_missing_setting_is_one_line_that_names_the_variable(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(name)
    with pytest.raises(SettingsError) as refused:
        load(SampleSettings)
    assert str(refused.value) == f"sample: {name} is not set"


def test_a_wrong_value_is_named_and_not_repeated(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PORT", "hunter2")
    environment.setenv("LOG_FORMAT", "xml-hunter2")
    with pytest.raises(SettingsError) as refused:
        load(SampleSettings)
    text = str(refused.value)
    assert "PORT is wrong" in text
    assert "LOG_FORMAT is wrong" in text
    assert "hunter2" not in text
    assert "\n" not in text


@pytest.mark.parametrize("content", [None, "rate = ", "\xff"])
def test_an_unreadable_file_is_one_line(environment: pytest.MonkeyPatch, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "settings.toml"
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    environment.setenv("SETTINGS_FILE", str(file))
    with pytest.raises(SettingsError, match=r"settings\.toml"):
        load(SampleSettings)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])  # noqa: S104 - the point of the test
def test_demo_money_is_refused_where_others_can_reach_it(environment: pytest.MonkeyPatch, host: str) -> None:
    environment.setenv("HOST", host)
    assert load(SampleSettings).demo_payment is False
    environment.setenv("DEMO_PAYMENT", "true")
    with pytest.raises(SettingsError, match="DEMO_PAYMENT=true") as refused:
        load(SampleSettings)
    assert "DEMO_PAYMENT_ALLOW_PUBLIC" in str(refused.value)
    environment.setenv("DEMO_PAYMENT_ALLOW_PUBLIC", "true")
    assert load(SampleSettings).demo_payment is True


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("", False)]
)
def test_what_only_this_machine_reaches(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
