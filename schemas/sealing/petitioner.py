"""Convert the petitioner 信访人 to and from the plaintext that is sealed, and to a digest.

Errors quote no values, because they are personal data.
"""

import hmac
import unicodedata
from collections.abc import Mapping

import orjson

from schemas.errors import Invalid
from schemas.limits import is_storable
from schemas.sealing.cipher_suites import framed

# name 姓名, id_type 证件类型, id_number 证件号码, phone 电话, address 住址
PETITIONER_FIELDS = ("name", "id_type", "id_number", "phone", "address")

# The longest real address is well under 200; five fields at the limit still seal into 8 kB.
MAX_FIELD_CHARACTERS = 500

# Sealing keeps the length, and a length is a hint to whose record it is.
PADDING_BYTES = 64


def to_plaintext(petitioner: Mapping[str, str]) -> bytes:
    """Return canonical JSON (RFC 8785: sorted keys, no spaces, UTF-8) of the five fields.

    A missing field is "". Spaces, which JSON allows, fill up to a multiple of `PADDING_BYTES`.
    Raises `Invalid` for another field, a value that is not text, text that is too long or has NUL
    or half a surrogate pair.
    """
    problems = [text for name in petitioner if (text := _problem(name, petitioner[name]))]
    if problems:
        raise Invalid("; ".join(problems))
    plaintext = orjson.dumps(
        {name: petitioner.get(name, "") for name in PETITIONER_FIELDS}, option=orjson.OPT_SORT_KEYS
    )
    return plaintext + b" " * (-len(plaintext) % PADDING_BYTES)


def from_plaintext(plaintext: bytes) -> dict[str, str]:
    """Return the fields of a petitioner; raise `ValueError` if it is none.

    Known fields come first; those of a later release are kept.
    """
    given = orjson.loads(plaintext)
    if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
        raise ValueError("its content is not a petitioner record")
    return dict.fromkeys(PETITIONER_FIELDS, "") | given


def identity_digest(key: bytes, id_type: str, id_number: str) -> str | None:
    """Return the HMAC-SHA256 (hex) of an identity, to find repeats 重复信访; None without number.

    Keyed, because 18-digit identity numbers are few enough to try them all on a plain hash.
    Both texts are normalised: NFKC (full width 全角 to half width), outer spaces off, upper case
    (the check digit x of an 18-digit number is X). A 15-digit number is NOT turned into an
    18-digit one: the century would be a guess, and a wrong guess makes two persons one.
    """
    number = _normalised(id_number)
    if not number:
        return None
    identity = framed("petition identity v1", _normalised(id_type), number)
    return hmac.digest(key, identity, "sha256").hex()


def _normalised(text: str) -> str:
    clean = text.encode("utf-8", "replace").decode()
    return unicodedata.normalize("NFKC", clean).strip().upper()


def _problem(name: object, value: object) -> str:
    """Return what is wrong with one field, or ""."""
    if name not in PETITIONER_FIELDS:
        return f"petitioner.{str(name)[:40]!r}: unknown (known: {', '.join(PETITIONER_FIELDS)})"
    if not isinstance(value, str):
        return f"petitioner.{name}: must be text"
    if len(value) > MAX_FIELD_CHARACTERS:
        return f"petitioner.{name}: {len(value)} characters, at most {MAX_FIELD_CHARACTERS}"
    if not is_storable(value):
        return f"petitioner.{name}: has a NUL or half a surrogate pair"
    return ""
