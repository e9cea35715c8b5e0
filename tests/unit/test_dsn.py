"""The address of the database is never quoted, however it is wrong."""

import pytest

from node.postgres.connection import connect
from node.runtime.dsn import check_dsn, without_secrets
from node.runtime.errors import PetitionLinkError
from node.runtime.settings import load_settings

MALFORMED = [
    *("postgresql://u:Geh@eim@127.0.0.1/db", "postgresql://u:Geh/eim@127.0.0.1/db"),
    *("postgresql://u:Geh#eim@127.0.0.1/db", "postgresql://u:Geh?eim@127.0.0.1/db"),
    *("postgresql://u:Geh%eim@127.0.0.1/db", "postgresql://u:Geh eim@127.0.0.1/db"),
    *("postgres//u:Geheim@127.0.0.1/db", "postgresql:u:Geheim@127.0.0.1/db"),
    *("jdbc:postgresql://127.0.0.1/db?password=Geheim", "Geheim"),
    *("postgresql://u:Geheim@127.0.0.1:port/db", "postgresql://u:Geheim@[::1/db"),
    *("postgresql://u:Geheim@127.0.0.1/db?passwort=Geheim", "postgresql:// u:Geheim@h/db"),
    *("host=h user=u password=Geh eim", "host=h password='Geheim user=u", "password: Geheim"),
    *("host=h passwort=Geheim", "host=u:Geheim@h dbname=d", "port=Geheim host=h"),
]


@pytest.mark.parametrize("dsn", MALFORMED)
def test_a_malformed_address_is_refused_without_being_quoted(
    monkeypatch: pytest.MonkeyPatch, dsn: str
) -> None:
    """Seen failing: the driver's own text quoted the whole of it, password included."""
    monkeypatch.setenv("PETITIONLINK_NODE", "370000")
    monkeypatch.setenv("PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")
    monkeypatch.setenv("PETITIONLINK_POSTGRES_DSN", dsn)
    with pytest.raises(PetitionLinkError) as caught:
        load_settings()
    said = str(caught.value)
    assert "PETITIONLINK_POSTGRES_DSN" in said
    assert "postgresql://user:password@host" in said
    assert "\n" not in said
    assert "Geh" not in said
    assert "eim" not in said


@pytest.mark.parametrize("dsn", MALFORMED)
def test_an_error_of_the_driver_is_shown_without_its_secrets(dsn: str) -> None:
    shown = without_secrets(f'invalid dsn: "{dsn}"', dsn)
    assert "Geheim" not in shown


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:Geh%40%2F%25eim@127.0.0.1:5432/db",
        "postgresql://u:Geheim@h1:5432,h2:5433/db?target_session_attrs=read-write",
        "postgresql:///db?host=/run/postgresql",
        "postgres://u@[::1]:5432/db",
        "host=/run/postgresql dbname=db user=u password='Geh eim @/?'",
    ],
)
def test_a_good_address_is_taken(dsn: str) -> None:
    check_dsn(dsn)


def test_what_the_driver_says_of_a_connection_has_no_password_in_it() -> None:
    dsn = "host=127.0.0.1 port=1 dbname=Geheim user=Geheim password=Geheim"
    with pytest.raises(PetitionLinkError) as caught:
        connect(dsn, "test")
    assert "Geheim" not in str(caught.value)
    assert "Postgres is away" in str(caught.value)
