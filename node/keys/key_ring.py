"""The keys of a node 节点密钥: its own pair, everybody's public keys, the identity key.

    <folder>/directory.json   public keys, node → key id → base64; readable by all
    <folder>/<node>.key       private key, PEM (PKCS#8, X25519), mode 0600
    <folder>/identity.key     key of the identity digest, 64 hex digits, mode 0600;
                              the same at every node, or repeats would not be found nationwide

A key id is a digest of the public key, not a serial number or a date: nobody has to assign
numbers, two keys never get the same id, and every reader can check that id and key match.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cases.nodes import known_node
from node.keys.key_files import (
    IDENTITY_KEY_BYTES,
    PRIVATE_MODE,
    PUBLIC_MODE,
    Directory,
    KeysUnusable,
    directory_json,
    locked,
    new_pair_pem,
    read_directory,
    read_identity_key,
    read_pair,
    write_whole,
)
from schemas.sealing.cipher_suites import Secret
from schemas.sealing.sealed_record import KeyPair, PublicKey

__all__ = ["KeysUnusable", "NodeKeys", "load_keys", "make_local_keys"]

_DIRECTORY = "directory.json"
_IDENTITY = "identity.key"


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """The keys with which a node opens and seals. Its repr shows no key."""

    pair: KeyPair
    identity_key: Secret = field(repr=False)
    directory: Mapping[str, Mapping[str, bytes]] = field(repr=False)

    @property
    def node(self) -> str:
        return self.pair.public.node

    def public(self, node: str) -> PublicKey:
        """Return the key to seal with for `node`: the last of its list, which is the newest.

        Raises `UnknownNode`, or `KeysUnusable` if the node has published no key.
        """
        keys = self.directory.get(known_node(node).code)
        if not keys:
            raise KeysUnusable(
                f"node {node} has no public key in {_DIRECTORY}: nothing can be sealed for it "
                "until it publishes one and the directory is renewed"
            )
        key_id, key = list(keys.items())[-1]
        return PublicKey(node, key_id, key)


def load_keys(folder: Path, node: str) -> NodeKeys:
    """Load the keys of `node` from its folder.

    Raises `KeysUnusable`, which names the file and the cure, if one is missing, malformed or
    readable by other users, or if the directory does not list the node's own key.
    """
    pair = read_pair(folder / f"{known_node(node).code}.key", node)
    directory = read_directory(folder / _DIRECTORY)
    if pair.public.key_id not in directory.get(node, {}):
        raise KeysUnusable(
            f"{folder / _DIRECTORY} does not list key {pair.public.key_id} of node {node}: "
            "others cannot seal for it: renew the directory or put back the right key"
        )
    return NodeKeys(pair, read_identity_key(folder / _IDENTITY), directory)


def make_local_keys(folder: Path, nodes: Sequence[str]) -> None:
    """Make the missing keys of a local stack, all nodes in one folder; existing keys stay.

    Raises `KeysUnusable` if a listed key is gone: a new one would hide that what was sealed for the
    old one cannot be read any more.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            _make_missing(folder, [known_node(node).code for node in nodes])
    except OSError as error:
        raise KeysUnusable(
            f"keys cannot be made in {folder} ({error.strerror}): "
            "choose a folder that this user may write to"
        ) from None


def _make_missing(folder: Path, nodes: Sequence[str]) -> None:
    path = folder / _DIRECTORY
    directory = read_directory(path) if path.exists() else {}
    before = directory_json(directory)
    _make_identity_key(folder / _IDENTITY, is_first=not directory)
    for node in nodes:
        _make_pair(folder, node, directory)
    # The directory is written last, so that it never lists a key that a crash kept from its file.
    if not path.exists() or directory_json(directory) != before:
        write_whole(path, directory_json(directory), PUBLIC_MODE)


def _make_identity_key(path: Path, is_first: bool) -> None:
    if path.exists():
        return
    if not is_first:
        raise _gone(path)
    write_whole(path, f"{secrets.token_hex(IDENTITY_KEY_BYTES)}\n".encode(), PRIVATE_MODE)


def _make_pair(folder: Path, node: str, directory: Directory) -> None:
    """Make the node's pair if it has none, and add it to the directory."""
    path = folder / f"{node}.key"
    listed = directory.setdefault(node, {})
    if not path.exists():
        if listed:
            raise _gone(path)
        write_whole(path, new_pair_pem(), PRIVATE_MODE)
    public = read_pair(path, node).public
    listed.setdefault(public.key_id, public.key)


def _gone(path: Path) -> KeysUnusable:
    return KeysUnusable(
        f"{path} is gone though {_DIRECTORY} beside it lists keys: put the file back; or, if all "
        f"data of the local stack may go, remove {path.parent} and start again"
    )
