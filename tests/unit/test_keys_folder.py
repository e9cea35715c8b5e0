"""The key folder: made once, never replaced, refused when it is not what it should be."""

import base64
import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cases.errors import UnknownNode
from node.keys.key_ring import KeysUnusable, load_keys, make_local_keys
from node.runtime.errors import Fatal, PetitionLinkError
from schemas.sealing.sealed_record import Sealer, unseal

NODES = ["000000", "110000", "370000"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "keys"
    make_local_keys(path, NODES)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(folder: Path, node: str = "370000") -> str:
    """Return the one line that loading is refused with."""
    with pytest.raises(KeysUnusable) as refused:
        load_keys(folder, node)
    assert isinstance(refused.value, Fatal)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_new_folder_has_what_each_node_needs(folder: Path) -> None:
    assert sorted(contents(folder)) == [
        *(f"{node}.key" for node in NODES),
        "directory.json",
        "identity.key",
    ]
    assert {mode_of(folder / f"{node}.key") for node in NODES} == {0o600}
    assert mode_of(folder / "identity.key") == 0o600
    assert mode_of(folder / "directory.json") == 0o644


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make_local_keys(tmp_path, NODES)
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "directory.json") == 0o644


def test_one_node_seals_and_another_opens(folder: Path) -> None:
    beijing, shandong = load_keys(folder, "110000"), load_keys(folder, "370000")
    record, _ = Sealer().seal("c1", {"name": "张三"}, [beijing.public("370000")])
    assert unseal(record, "c1", shandong.pair)["name"] == "张三"
    assert beijing.identity_key == shandong.identity_key
    assert shandong.node == "370000"
    assert shandong.public("370000") == shandong.pair.public


def test_making_keys_again_changes_nothing(folder: Path) -> None:
    before = contents(folder)
    make_local_keys(folder, NODES)
    assert contents(folder) == before


def test_a_further_node_leaves_the_others_as_they_are(folder: Path) -> None:
    before = contents(folder)
    make_local_keys(folder, ["660000"])
    after = contents(folder)
    assert {name: after[name] for name in before if name != "directory.json"} == {
        name: before[name] for name in before if name != "directory.json"
    }
    listed = json.loads(after["directory.json"])
    assert listed.keys() == {*NODES, "660000"}
    assert json.loads(before["directory.json"]).items() <= listed.items()


def test_a_crash_before_the_directory_was_written_is_mended(folder: Path) -> None:
    before = contents(folder)
    (folder / "directory.json").unlink()
    make_local_keys(folder, NODES)
    assert contents(folder) == before


def test_what_a_crash_left_half_written_is_overwritten(folder: Path) -> None:
    (folder / ".660000.key.new").write_text("half")
    make_local_keys(folder, ["660000"])
    assert load_keys(folder, "660000").node == "660000"
    assert not (folder / ".660000.key.new").exists()


@pytest.mark.parametrize("name", ["370000.key", "identity.key"])
def test_a_lost_key_is_reported_not_replaced(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(KeysUnusable, match=f"{name} is gone"):
        make_local_keys(folder, NODES)
    assert not (folder / name).exists()


def test_several_makers_at_once_make_one_set(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as makers:
        for made in [makers.submit(make_local_keys, tmp_path, NODES) for _ in range(8)]:
            made.result(60)
    assert {load_keys(tmp_path, node).node for node in NODES} == set(NODES)
    listed = json.loads((tmp_path / "directory.json").read_text())
    assert [len(keys) for keys in listed.values()] == [1, 1, 1]


def test_of_two_listed_keys_the_last_is_sealed_for(folder: Path, tmp_path: Path) -> None:
    make_local_keys(tmp_path / "newer", ["110000"])
    newer = load_keys(tmp_path / "newer", "110000").pair.public
    path = folder / "directory.json"
    listed = json.loads(path.read_text())
    listed["110000"][newer.key_id] = base64.b64encode(newer.key).decode()
    path.write_text(json.dumps(listed))
    assert load_keys(folder, "370000").public("110000") == newer
    assert load_keys(folder, "110000").pair.public != newer


def test_a_key_that_others_can_read_is_refused(folder: Path) -> None:
    for name in ("370000.key", "identity.key"):
        path = folder / name
        for mode in (0o640, 0o604, 0o660):
            path.chmod(mode)
            assert f"chmod 600 {path}" in refusal(folder)
            assert f"mode {mode:04o}" in refusal(folder)
        path.chmod(0o600)
    assert load_keys(folder, "370000").node == "370000"


def test_a_missing_folder_or_file_names_itself_and_the_cure(folder: Path, tmp_path: Path) -> None:
    missing = refusal(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere" / "370000.key") in missing
    assert "petitionlink stack up" in missing
    assert "PETITIONLINK_KEY_FOLDER" in missing
    for name in ("identity.key", "directory.json", "370000.key"):
        (folder / name).unlink()
        assert str(folder / name) in refusal(folder)


def test_a_folder_in_place_of_a_key_is_refused(folder: Path) -> None:
    (folder / "370000.key").unlink()
    (folder / "370000.key").mkdir(mode=0o700)
    assert "cannot be read" in refusal(folder)


@pytest.mark.parametrize("node", ["999999", "../370000", "", "37000"])
def test_an_unknown_node_is_refused(folder: Path, node: str) -> None:
    with pytest.raises(UnknownNode):
        load_keys(folder, node)
    with pytest.raises(UnknownNode):
        make_local_keys(folder, [node])
    with pytest.raises(UnknownNode):
        load_keys(folder, "370000").public(node)


def test_a_node_without_a_published_key_is_named(folder: Path) -> None:
    with pytest.raises(KeysUnusable, match="node 120000 has no public key"):
        load_keys(folder, "370000").public("120000")


def _other_algorithm() -> bytes:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("content", [lambda: b"", lambda: b"not a key", _other_algorithm])
def test_what_is_no_private_key_is_refused(folder: Path, content: Callable[[], bytes]) -> None:
    (folder / "370000.key").write_bytes(content())
    assert "370000.key is not an unencrypted X25519 private key" in refusal(folder)


@pytest.mark.parametrize("content", ["", "00" * 31, "zz" * 32, "００" * 32])
def test_what_is_no_identity_key_is_refused(folder: Path, content: str) -> None:
    (folder / "identity.key").write_text(content)
    assert "identity.key does not hold 64 hex digits" in refusal(folder)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "7",
        '{"370000": 7}',
        '{"370000": {"0123456789abcdef": 7}}',
        '{"370000": {"0123456789abcdef": "%"}}',
        '{"370000": {"0123456789abcdef": "密"}}',
        '{"370000": {"0123456789abcdef": "AAAA"}}',
    ],
)
def test_what_is_no_directory_is_refused(folder: Path, content: str) -> None:
    (folder / "directory.json").write_text(content)
    assert "directory.json is not a directory of public keys" in refusal(folder)
    with pytest.raises(KeysUnusable, match=r"directory\.json"):
        make_local_keys(folder, NODES)


def test_a_key_under_a_name_that_is_not_its_digest_is_refused(folder: Path) -> None:
    path = folder / "directory.json"
    listed = json.loads(path.read_text())
    ((_, text),) = listed["110000"].items()
    listed["110000"] = {"0123456789abcdef": text}
    path.write_text(json.dumps(listed))
    assert "key '0123456789abcdef' does not have that digest" in refusal(folder)


def test_an_own_key_that_the_directory_does_not_list_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    make_local_keys(tmp_path / "other", ["370000"])
    (tmp_path / "other" / "370000.key").replace(folder / "370000.key")
    assert "does not list key" in refusal(folder)


def test_a_place_where_no_folder_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeysUnusable, match="keys cannot be made in"):
        make_local_keys(tmp_path / "file", NODES)
    with pytest.raises(PetitionLinkError, match="keys cannot be made in"):
        make_local_keys(tmp_path / "file" / "keys", NODES)


def test_no_secret_shows(folder: Path) -> None:
    keys = load_keys(folder, "370000")
    shown = f"{keys} {keys!r} {keys.pair} {keys.identity_key} {keys.pair.private!r}"
    for secret in (bytes(keys.identity_key), bytes(keys.pair.private)):
        for form in (repr(secret)[2:-1], secret.hex(), base64.b64encode(secret).decode()):
            assert form not in shown
    assert "Secret(32 bytes)" in shown
    assert keys.pair.public.key_id in shown
