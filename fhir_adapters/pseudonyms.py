"""Patients under keyed pseudonyms. The key lives outside the database; without it nothing leads back to a person."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from fhir_adapters.errors import BadKeyError

KEY_BYTES = 32
_LENGTH = 24


class Pseudonyms:
    """Keyed hashes (HMAC-SHA256, cut to 96 bits) of ids, words and contents; each use has its own domain."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        """Raises BadKeyError for a key under 32 bytes."""
        if len(key) < KEY_BYTES:
            raise BadKeyError(f"the pseudonym key must have at least {KEY_BYTES} bytes")
        self._key = key

    def patient(self, patient_id: str) -> str:
        """The pseudonym of a patient's logical id."""
        return self.digest("patient", patient_id.encode("utf-8", "surrogatepass"))

    def text(self, words: str) -> str:
        """A hash under which equal words meet; case and spacing don't matter."""
        return self.digest("text", " ".join(words.casefold().split()).encode("utf-8", "surrogatepass"))

    @property
    def fingerprint(self) -> str:
        """Tells two keys apart without telling anything of them."""
        return self.digest("fingerprint", b"")

    def digest(self, domain: str, data: bytes) -> str:
        """24 hexadecimal digits for any bytes."""
        return hmac.digest(self._key, domain.encode() + b"\0" + data, hashlib.sha256).hex()[:_LENGTH]

    def __repr__(self) -> str:
        """Never shows the key."""
        return f"Pseudonyms({self.fingerprint})"


def new_key() -> bytes:
    """A random key."""
    return secrets.token_bytes(KEY_BYTES)


def load_or_create_key(path: Path) -> bytes:
    """The key of a file; made once, readable by its owner only, where there is none.

    Of two processes that start together one makes the key and both use it. Raises BadKeyError where the file can't be
    read or made, or holds no key.
    """
    try:
        if not path.exists():
            _create(path)
        key = path.read_bytes()
    except OSError as error:
        raise BadKeyError(f"the key file can't be read or made: {error.strerror}") from error
    if len(key) < KEY_BYTES:
        raise BadKeyError(f"the key file holds {len(key)} bytes; at least {KEY_BYTES} are needed")
    return key


def _create(path: Path) -> None:
    """Written whole beside its place, then linked there: nobody ever sees half a key, and no key is overwritten."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(new_key())
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        pass  # another process was first: its key holds
    finally:
        draft.unlink()
