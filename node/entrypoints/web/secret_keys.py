"""Keys of the web service 网页密钥, none of which another node could know.

They are derived from the node's own private key: random, mode 0600, never sent anywhere, and the
same for every web process of the node. The identity key would not do: all nodes share it.
"""

from __future__ import annotations

import hashlib
import hmac

from node.keys.key_ring import NodeKeys
from schemas.sealing.cipher_suites import Secret


def web_key(keys: NodeKeys, purpose: str) -> Secret:
    """The node's key for one purpose of the web service; another one for each purpose."""
    label = f"petitionlink web|{purpose}".encode()
    return Secret(hmac.new(keys.pair.private, label, hashlib.sha256).digest())
