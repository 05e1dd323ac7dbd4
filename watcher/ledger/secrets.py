"""Authenticated encryption of what must not be read at rest, and keys derived for signing.

A ciphertext is ``v1 | key id (8 hex) | nonce (12) | AES-256-GCM``; its associated data is the
row it belongs to, so that a ciphertext copied into another row does not decrypt. Several keys
may be given: the first one encrypts, all decrypt (by key id).
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from watcher import errors
from watcher.settings import Settings, load

PROOF_HEADER = "X-Watcher-Proof"
"""Sent with a number to ``POST /webhooks/google``: the answer shows whose web process it is."""
_VERSION = b"v1"
_KEY_ID = 8
_NONCE = 12


class SecretUnreadable(errors.Permanent):
    """A ciphertext does not open with any of the given keys, or was moved between rows."""


class Keyring:
    """The installation's secret keys. ``repr`` shows key ids only."""

    def __init__(
        self, keys: Sequence[str], *, again: Callable[[], Sequence[str]] | None = None
    ) -> None:
        """``again`` reads the keys anew: asked when a secret needs a key that is not known, which
        has come in since this process was started."""
        self._again = again
        self._take(keys)

    @classmethod
    def of(cls, settings: Settings) -> Keyring:
        """The keys of the settings; those that come in later are read when they are needed."""
        given = settings.secret_keys.get_secret_value().split(",")
        made = settings.data_dir / "secret.key"
        if not any(key.strip() for key in given) and made.is_file():
            raise errors.UserError(
                errors.sentence(
                    "WATCHER_SECRET_KEYS is not set, although `watcher init` has made %(file)s",
                    file=str(made),
                ),
                next_step=errors.sentence(
                    "add to the settings: WATCHER_SECRET_KEYS_FILE=%(file)s", file=str(made)
                ),
            )
        return cls(given, again=lambda: _keys_now(given))

    def _take(self, keys: Sequence[str]) -> None:
        cleaned = [key.strip() for key in keys if key.strip()]
        if not cleaned:
            raise errors.UserError(
                errors.sentence("%(setting)s is not set", setting="WATCHER_SECRET_KEYS"),
                next_step=errors.sentence(
                    "`watcher init` makes a key; keep a copy of it beside your backups"
                ),
            )
        self._roots = [key.encode() for key in cleaned]
        self._ciphers = {key_id(root): AESGCM(_derive(root, "encrypt")) for root in self._roots}
        self._first = key_id(self._roots[0])

    def look_again(self) -> None:
        """Take up keys that have come in since the start."""
        if self._again is not None:
            self._take(self._again())

    def follow(self) -> None:
        """Take up a new key before something is encrypted. What is set now has to have a key in
        common with what is known: else it is a mistake, which must not be followed."""
        if self._again is None:
            return
        now = [key for key in self._again() if key.strip()]
        if any(key_id(key.strip().encode()) in self._ciphers for key in now):
            self._take(now)

    def __repr__(self) -> str:
        return f"Keyring(ids={list(self._ciphers)})"

    @property
    def ids(self) -> list[str]:
        return list(self._ciphers)

    @property
    def first(self) -> str:
        """The id of the key that encrypts."""
        return self._first

    def encrypt(self, plaintext: str, *, row: str) -> bytes:
        """``row`` names table, id and column, e.g. ``accounts:7:refresh_token``."""
        nonce = os.urandom(_NONCE)
        sealed = self._ciphers[self._first].encrypt(nonce, plaintext.encode(), row.encode())
        return _VERSION + self._first.encode() + nonce + sealed

    def decrypt(self, blob: bytes, *, row: str) -> str:
        """Raises ``SecretUnreadable``; the message never holds any part of the secret."""
        head = len(_VERSION) + _KEY_ID
        used = key_of(blob)
        cipher = self._ciphers.get(used)
        if cipher is None:
            self.look_again()
            cipher = self._ciphers.get(used)
        if not blob.startswith(_VERSION) or cipher is None:
            raise SecretUnreadable(
                f"a secret in the ledger ({row}) needs key {used!r}, which is not among "
                f"WATCHER_SECRET_KEYS (ids {', '.join(self.ids)})",
                cause=errors.Cause.KEY_MISSING,
                next_step="put the old key back into WATCHER_SECRET_KEYS",
            )
        try:
            opened = cipher.decrypt(blob[head : head + _NONCE], blob[head + _NONCE :], row.encode())
            return opened.decode()
        except InvalidTag:
            raise SecretUnreadable(
                f"a secret in the ledger ({row}) does not open: altered, or moved between rows",
                cause=errors.Cause.SECRET_ALTERED,
                next_step="reconnect the account",
            ) from None

    def proof(self, asked: str) -> str:
        """What only this installation can answer to a number."""
        return _proof(self.signing_keys("proof")[-1], asked)

    def proves(self, asked: str, answer: str) -> bool:
        """Whether the answer is that of a process with one of these keys."""
        return any(same(_proof(key, asked), answer) for key in self.signing_keys("proof"))

    def signing_keys(self, purpose: str) -> list[bytes]:
        """Keys for itsdangerous, oldest first as it expects: the last one signs."""
        return [_derive(root, f"sign:{purpose}") for root in reversed(self._roots)]


def _keys_now(given: Sequence[str]) -> Sequence[str]:
    """The keys as they are set at this moment; a new one may have been put in front."""
    try:
        now = load().settings.secret_keys.get_secret_value()
    except errors.UserError:
        return given
    return now.split(",") if now else given


def key_of(blob: bytes) -> str:
    """The id of the key that a ciphertext was made with."""
    return blob[len(_VERSION) : len(_VERSION) + _KEY_ID].decode("ascii", "replace")


def key_id(root: bytes) -> str:
    return hashlib.sha256(b"watcher key id" + root).hexdigest()[:_KEY_ID]


def digest(value: str) -> str:
    """SHA-256 hex of a random token: enough at rest, since the token has 256 bits."""
    return hashlib.sha256(value.encode()).hexdigest()


def _proof(key: bytes, asked: str) -> str:
    return hmac.new(key, asked.encode(), hashlib.sha256).hexdigest()


def same(left: str, right: str) -> bool:
    """Constant-time comparison of two strings of any alphabet."""
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))


def _derive(root: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=f"watcher {purpose}".encode()).derive(root)
