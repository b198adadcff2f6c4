"""Large files: bytes by sha256, and a local Xet store that hf-xet fills and reads itself."""

from __future__ import annotations

import struct
import tempfile
import threading
from pathlib import Path

_RECORD = 48  # bytes of every record of a shard


class Storage:
    """What large files there are; ``xet`` is the folder of the Xet store, or None."""

    def __init__(self, xet: Path | None) -> None:
        self.xet = xet
        self.objects: dict[str, bytes] = {}
        self.lock = threading.Lock()

    def holds(self, sha256: str) -> bool:
        return sha256 in self.objects or sha256 in self.xet_hashes()

    def read(self, sha256: str, size: int) -> bytes:
        if sha256 not in self.objects:
            self.objects[sha256] = self._from_xet(self.xet_hashes()[sha256], size)
        return self.objects[sha256]

    def xet_hashes(self) -> dict[str, str]:
        """From sha256 to Xet hash, out of the file records of the store's shards."""
        found: dict[str, str] = {}
        for shard in [] if self.xet is None else sorted(self.xet.rglob("*.mdb")):
            found.update(_files_of(shard.read_bytes()))
        return found

    def _from_xet(self, xet_hash: str, size: int) -> bytes:
        import hf_xet

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            store = f"local://{self.xet}"
            with hf_xet.XetSession().new_file_download_group(endpoint=store) as group:
                group.start_download_file(hf_xet.XetFileInfo(xet_hash, size), str(path))
            return path.read_bytes()


def _files_of(shard: bytes) -> dict[str, str]:
    """The files a shard describes; a record of ones ends them.

    Each has a head, a record for every segment, as many again where verified, and its sha256.
    """
    found = {}
    at = _RECORD
    while (name := shard[at : at + 32]) != b"\xff" * 32:
        flags, segments = struct.unpack_from("<II", shard, at + 32)
        at += _RECORD * (1 + segments * (2 if flags >> 31 else 1))
        if flags >> 30 & 1:
            found[_hex(shard[at : at + 32])] = _hex(name)
            at += _RECORD
    return found


def _hex(digest: bytes) -> str:
    """Four little-endian words, in hex."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", digest))
