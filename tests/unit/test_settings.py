"""Settings: one commented reference, every wrong value named with its cure, no secret shown."""

import re
from pathlib import Path

import pytest

from node.runtime.errors import Fatal, PetitionLinkError
from node.runtime.settings import ENV_PREFIX, Settings, load_settings

REFERENCE = Path(__file__).parents[2] / "deploy" / "petitionlink.env"
GOOD = {
    "PETITIONLINK_NODE": "370000",
    "PETITIONLINK_POSTGRES_DSN": "postgresql://u:geheim@127.0.0.1/db",
    "PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
}


@pytest.fixture(autouse=True)
def _good_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(ENV_PREFIX + name.upper(), raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def test_the_reference_file_names_every_setting_with_its_default() -> None:
    named = dict(re.findall(r"^#? ?(PETITIONLINK_\w+)=(.*)$", REFERENCE.read_text(), re.MULTILINE))
    fields = {ENV_PREFIX + name.upper(): field for name, field in Settings.model_fields.items()}
    assert set(named) == {*fields, "PETITIONLINK_TOPICS_FILE", "PETITIONLINK_LOCAL"}
    for name, field in fields.items():
        if not field.is_required():
            assert named[name] == str(field.default)


def test_no_secret_is_in_a_dump_of_the_settings() -> None:
    settings = load_settings()
    assert "geheim" in settings.dsn
    assert "geheim" not in f"{settings.shown()} {settings!r} {settings}"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PETITIONLINK_NODE", "371", "node '371' is unknown"),
        ("PETITIONLINK_METRICS_PORT", "99999", "PETITIONLINK_METRICS_PORT"),
        ("PETITIONLINK_LOG_LEVEL", "loud", "PETITIONLINK_LOG_LEVEL"),
        ("PETITIONLINK_HTTP_TRUSTED_PROXIES", "*", "never *"),
        ("PETITIONLINK_HTTP_TRUSTED_PROXIES", "10.0.0.1, 0.0.0.0/0", "'0.0.0.0/0' is no address"),
        ("PETITIONLINK_HTTP_TRUSTED_PROXIES", "::/0", "never *"),
        ("PETITIONLINK_HTTP_TRUSTED_PROXIES", "proxy.example", "'proxy.example' is no address"),
        ("PETITIONLINK_HTTP_ALLOWED_HOSTS", "*", "'*' is no host name"),
        ("PETITIONLINK_HTTP_ALLOWED_HOSTS", "a.example:80", "without port"),
        ("PETITIONLINK_BATCH_RECORDS", "0", "PETITIONLINK_BATCH_RECORDS"),
        ("PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS", "", "PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS"),
    ],
)
def test_a_wrong_value_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(PetitionLinkError, match=re.escape(said)) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_missing_settings_are_all_named_with_the_place_to_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PETITIONLINK_NODE")
    monkeypatch.delenv("PETITIONLINK_POSTGRES_DSN")
    with pytest.raises(Fatal, match=r"petitionlink\.env") as caught:
        load_settings()
    assert "PETITIONLINK_NODE is not set" in str(caught.value)
    assert "PETITIONLINK_POSTGRES_DSN is not set" in str(caught.value)
