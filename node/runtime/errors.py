"""This module tells three kinds of failure apart.

    PetitionLinkError        one clear line for a person; exit code 1
    ├── Fatal                stops the process: configuration, privilege, a missing topic
    └── Transient            the environment is away: wait, try again, advance nothing
    Undecodable (schemas)    poison: dead-letter this record, go on with the next

Any other exception is a defect of ours and stops the process with its traceback in the log.
"""

import sys

import psycopg2

from schemas.errors import PetitionLinkError as PetitionLinkError  # exported


class Fatal(PetitionLinkError):
    """Retrying does not help: a person must correct something first."""


class OtherRelease(Fatal):
    """The database is at another release's migration than this process."""


class Transient(PetitionLinkError):
    """The `dependency`, kafka or postgres, is away or busy: the same step may succeed later.

    An empty `dependency` means that neither is at fault; `clock` means that both answer, and this
    machine's clock is wrong.
    """

    def __init__(self, message: str, dependency: str = "postgres") -> None:
        super().__init__(message)
        self.dependency = dependency


class NoAnswer(psycopg2.OperationalError):
    """Postgres did not answer a statement in time, and the connection was shut down.

    Raised by `node.runtime.watchdog`. After a COMMIT the outcome is unknown.
    """


class Fenced(PetitionLinkError):
    """Another process moved the offsets of this partition; our transaction was rolled back."""


# SQLSTATE classes and codes, PostgreSQL manual appendix A.
_TRANSIENT_CLASSES = (
    "08",  # connection exception
    "40",  # serialization failure, deadlock detected
    "53",  # insufficient resources: disk full, out of memory, too many connections
    "55",  # lock not available, object in use
    "57",  # operator intervention: admin shutdown, crash shutdown, cannot connect now
    "58",  # system error: I/O error
    "72",  # snapshot too old
)
_TRANSIENT_CODES = (
    "25006",  # read-only transaction: a standby before its promotion
    "25P02",  # an earlier statement of the transaction failed: the next transaction starts clean
    "25P03",  # idle in transaction for too long: this process was frozen in a batch
    "25P04",  # transaction timeout, set by an administrator
)
# A prepared statement is missing, or exists already: a pooler changed our session.
_CHANGED_SESSION_CODES = ("26000", "42P05")
_OTHER_RELEASE_CODE = "PL001"  # raised by the database itself, migration 12
_DATA_CLASSES = (
    "22",  # data exception: the record's own value
    "23",  # integrity constraint violation
    "54",  # program limit exceeded: a row too large for an index, a value nested too deep
)
_TOO_LARGE_CLASS = "54"
_TOO_SLOW_CODES = (
    "57014",  # query canceled: statement_timeout
    "25P04",  # transaction timeout
)
_TOO_SLOW = (
    "an administrator limits the time of a statement: raise statement_timeout (or "
    "transaction_timeout) for the node's role"
)
POOLED = (
    "a connection pooler gives each transaction another session; use its session pooling "
    "(PgBouncer: pool_mode = session), or name Postgres itself in PETITIONLINK_POSTGRES_DSN"
)


def classified(error: Exception) -> Transient | Fatal | None:
    """Return a transient or fatal error for one of the environment, None for any other.

    A database error without SQLSTATE is a lost or refused connection.
    """
    if isinstance(error, psycopg2.Error):
        return _classified_postgres(error)
    # kafka-python takes a tenth of a second to import: if it is not loaded, it raised nothing.
    kafka_errors = sys.modules.get("kafka.errors")
    if kafka_errors is not None and isinstance(error, kafka_errors.KafkaError):
        fatal = tuple(getattr(kafka_errors, name) for name in _FATAL_KAFKA)
        return _classified_kafka(error, fatal)
    return None


def is_data_error(error: Exception) -> bool:
    """Return True if Postgres refused a value, so that one record of the batch is at fault."""
    return isinstance(error, psycopg2.Error) and (error.pgcode or "")[:2] in _DATA_CLASSES


def is_too_large(error: Exception) -> bool:
    """Return True if a value exceeds a limit of Postgres, such as the size of an index row."""
    return isinstance(error, psycopg2.Error) and (error.pgcode or "")[:2] == _TOO_LARGE_CLASS


def is_too_slow(error: Exception) -> bool:
    """Return True if the statement ran out of time, so that a smaller step may succeed."""
    if isinstance(error, NoAnswer):
        return True
    return isinstance(error, psycopg2.Error) and error.pgcode in _TOO_SLOW_CODES


def _classified_postgres(error: psycopg2.Error) -> Transient | Fatal:
    code = error.pgcode or ""
    text = first_line(error) or type(error).__name__
    if isinstance(error, NoAnswer):
        return Transient(f"Postgres does not answer: {text}")
    if not code and _is_of_the_connection(error):
        return Transient(f"Postgres is away: {text}")
    if code in _TOO_SLOW_CODES:
        return Transient(f"Postgres stopped a statement ({code}): {text}: {_TOO_SLOW}")
    if code[:2] in _TRANSIENT_CLASSES or code in _TRANSIENT_CODES:
        return Transient(f"Postgres cannot serve now ({code}): {text}")
    return _refusal(code, text)


def _refusal(code: str, text: str) -> Fatal:
    if code == _OTHER_RELEASE_CODE:
        return OtherRelease(
            f"{text}: stop this process, and install the release that migrated the database "
            "(or run `petitionlink migrate` if this one is the newer)"
        )
    if code in _CHANGED_SESSION_CODES:
        return Fatal(f"Postgres refuses ({code}): {text}: {POOLED}")
    return Fatal(f"Postgres refuses ({code}): {text}")


def _is_of_the_connection(error: psycopg2.Error) -> bool:
    """Return True for a lost connection; a reset during an answer is a bare DatabaseError."""
    kinds = (psycopg2.OperationalError, psycopg2.InterfaceError)
    return isinstance(error, kinds) or type(error) is psycopg2.DatabaseError


def _classified_kafka(error: Exception, fatal: tuple[type, ...]) -> Transient | Fatal:
    name = type(error).__name__
    # The library puts the name of the error before its text.
    text = f"{name}: {first_line(error).removeprefix(f'{name}: ')}".rstrip(": ")
    if isinstance(error, fatal):
        return Fatal(f"Kafka refuses: {text}")
    if name == "InvalidTimestampError":
        return Transient(_CLOCK, "clock")
    return Transient(
        f"Kafka is away: {text}: is the broker up? see PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS",
        "kafka",
    )


# The broker refuses records beyond message.timestamp.after.max.ms; older ones it takes.
_CLOCK = (
    "Kafka answers and refuses the time of our records: the clock of this machine is more than an "
    "hour ahead of the broker's: set it (NTP); nothing was lost: the outbox keeps what was written"
)
# Names in `kafka.errors`.
_FATAL_KAFKA = (
    "AuthorizationError",
    "SaslAuthenticationFailedError",
    "KafkaConfigurationError",
    "MessageSizeTooLargeError",
    "InvalidTopicError",
    "UnsupportedVersionError",
    "FencedInstanceIdError",  # another living process has our host name and port
)
# Some Kafka errors quote a whole response.
_LONGEST_LINE = 200


def first_line(error: Exception) -> str:
    """Return the first line of an error's text that is not empty, shortened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:_LONGEST_LINE] if lines else ""
