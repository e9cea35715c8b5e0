"""Files of a key folder: a private one is refused if others may read it; writes are atomic."""

import base64
import binascii
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from node.runtime.errors import Fatal
from schemas.sealing.cipher_suites import Secret
from schemas.sealing.sealed_record import KeyPair, PublicKey

PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644

IDENTITY_KEY_BYTES = 32  # HMAC-SHA256: a key as long as the digest
PUBLIC_KEY_BYTES = 32  # X25519, RFC 7748

_OTHERS = stat.S_IRWXG | stat.S_IRWXO

# Node → key id → public key, in the order of the file.
Directory = dict[str, dict[str, bytes]]


class KeysUnusable(Fatal):
    """A key folder 密钥目录 that is missing, readable by others, or not what it should be."""


def key_id_of(public: bytes) -> str:
    """Return the id of a public key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def read_pair(path: Path, node: str) -> KeyPair:
    """Read the key pair of `node` from its PEM (PKCS#8, X25519, no passphrase)."""
    try:
        key = load_pem_private_key(_read_private(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, X25519PrivateKey):
        raise KeysUnusable(
            f"{path} is not an unencrypted X25519 private key in PEM (PKCS#8): "
            "put the node's key back from its backup"
        )
    public = key.public_key().public_bytes_raw()
    return KeyPair(PublicKey(node, key_id_of(public), public), Secret(key.private_bytes_raw()))


def new_pair_pem() -> bytes:
    """Generate an X25519 private key and return its PEM."""
    return X25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def read_identity_key(path: Path) -> Secret:
    """Read the key of the identity digest, 64 hex digits."""
    try:
        key = Secret(bytes.fromhex(_read_private(path).decode("ascii").strip()))
    except ValueError:
        key = Secret()
    if len(key) != IDENTITY_KEY_BYTES:
        raise KeysUnusable(
            f"{path} does not hold {IDENTITY_KEY_BYTES * 2} hex digits: "
            "put back the identity key that all nodes share"
        )
    return key


def read_directory(path: Path) -> Directory:
    """Read every node's public keys; each must have the key id that its bytes give."""
    try:
        given = orjson.loads(_read(path))
        return {node: dict(map(_checked_key, keys.items())) for node, keys in given.items()}
    except (ValueError, AttributeError) as error:
        reason = str(error) if isinstance(error, _WrongKey) else "its JSON is not as it should be"
        raise KeysUnusable(
            f"{path} is not a directory of public keys (node → key id → base64): {reason}: "
            "put back the copy that the national office publishes"
        ) from None


def directory_json(directory: Mapping[str, Mapping[str, bytes]]) -> bytes:
    """Return the text of directory.json, nodes in code order."""
    shown = {
        node: {key_id: base64.b64encode(key).decode() for key_id, key in keys.items()}
        for node, keys in sorted(directory.items())
    }
    return orjson.dumps(shown, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Write or replace a file atomically: a crash leaves the old content or the new one."""
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_MODE)
    with open(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the folder against other processes that make keys in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class _WrongKey(ValueError):
    """An entry of the directory is wrong."""


def _checked_key(entry: tuple[str, Any]) -> tuple[str, bytes]:
    key_id, text = entry
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise _WrongKey(f"key {key_id!r} is not base64") from None
    if len(key) != PUBLIC_KEY_BYTES or key_id_of(key) != key_id:
        raise _WrongKey(f"key {key_id!r} does not have that digest")
    return key_id, key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & _OTHERS:
                raise KeysUnusable(
                    f"{path} is open to other users (mode {stat.S_IMODE(mode):04o}): "
                    f"chmod 600 {path}, and treat the key as known if others had access"
                )
            return file.read()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> KeysUnusable:
    return KeysUnusable(
        f"key file {path} cannot be read ({error.strerror}): `petitionlink stack up` makes the "
        "keys of a local stack; elsewhere set PETITIONLINK_KEY_FOLDER to the node's key folder"
    )
