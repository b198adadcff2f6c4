"""Signatures of bundles by OpenSSF model-signing, with an elliptic-curve key, offline.

A signature says who vouches for a bundle, which SHA256SUMS cannot: whoever alters a file can write
that anew. It is of every file of the sealed bundle, SHA256SUMS among them, so it is made last, and
sealing again removes it. It holds names and digests in the library's own format, so that
``model_signing verify key`` checks it without dashzoo.

```console
$ openssl ecparam -name prime256v1 -genkey -noout -out key.pem
$ openssl ec -in key.pem -pubout -out pub.pem
```
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

from dashzoo_export.bundle import (
    SIGNATURE,
    WORK,
    check_bundle,
    read_json,
    sealed_files,
    write_atomically,
)
from dashzoo_search.errors import BadBundle, BadData, MissingRuntime

__all__ = ["check_signature", "sign"]

_AGAIN = "get bundle and key from their author again"


def sign(
    folder: str | PathLike[str], key: str | PathLike[str], *, password: str | None = None
) -> Path:
    """Sign a sealed bundle; a signature that is there is replaced.

    Args:
        folder: of the bundle.
        key: private key in PEM, of the curve P-256, P-384 or P-521.
        password: of the key, where it is encrypted.

    Returns:
        The signature's path.

    Raises:
        BadBundle: the bundle is not whole, or a file has changed.
        BadData: the key is none, or its password is wrong.
        MissingRuntime: model-signing is not installed.

    >>> sign("runs/gunpoint", "key.pem")  # doctest: +SKIP
    PosixPath('runs/gunpoint/model.sig')
    """
    folder, key = Path(folder), Path(key)
    library = _require_library()
    check_bundle(folder)
    config = library.signing.Config().set_hashing_config(_Files(folder))
    try:
        config.use_elliptic_key_signer(private_key=key, password=password and password.encode())
    except OSError:
        raise
    except Exception as error:  # cryptography's, of several kinds
        raise BadData(
            f"{key} is no private key of the curve P-256, P-384 or P-521, or its password is not "
            "the one in DASHZOO_KEY_PASSWORD; make a key with 'openssl ecparam -name prime256v1 "
            "-genkey -noout -out key.pem'"
        ) from error
    with tempfile.TemporaryDirectory() as aside:
        config.sign(folder, Path(aside) / SIGNATURE)
        write_atomically(folder / SIGNATURE, (Path(aside) / SIGNATURE).read_bytes())
    return folder / SIGNATURE


def check_signature(folder: Path, public_key: Path) -> None:
    """Check that a key's owner signed the bundle as it is, every file of it.

    Args:
        folder: of a whole bundle.
        public_key: in PEM.

    Raises:
        BadBundle: there is no signature, or it is damaged, by another key, or of other files.
        BadData: the key is none.
        MissingRuntime: model-signing is not installed.
    """
    library = _require_library()
    files = _Files(folder)
    config = library.verifying.Config().set_hashing_config(files)
    try:
        config.use_elliptic_key_verifier(public_key=public_key)
    except OSError:
        raise
    except Exception as error:  # cryptography's, of several kinds
        raise BadData(
            f"{public_key} is no public key of the curve P-256, P-384 or P-521; make one with "
            "'openssl ec -in key.pem -pubout -out pub.pem'"
        ) from error
    if not (folder / SIGNATURE).is_file():
        raise BadBundle(
            f"{folder} is not signed; sign it with 'dashzoo sign', or leave out --public-key",
            field=SIGNATURE,
        )
    try:
        read_json(folder / SIGNATURE)
    except BadBundle as error:
        raise BadBundle(f"{error}; {_AGAIN}", field=SIGNATURE) from error
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where the library prints its warnings
            config.verify(folder, folder / SIGNATURE)
    except OSError:  # a file that cannot be read says nothing of its author
        raise
    except Exception as error:  # whatever damaged JSON leads to, too
        why = f"was not made with the private key of {public_key}"
        if files.asked:
            why = "is by that key, but of other files"
        raise BadBundle(f"{SIGNATURE} {why}; {_AGAIN}", field=SIGNATURE) from error


def _require_library() -> Any:
    try:
        import model_signing
    except ImportError as error:
        raise MissingRuntime("model-signing", "sign") from error
    return model_signing


class _Files:
    """Stands in for `model_signing.hashing.Config`: a bundle's files, none fewer and none more.

    The library's own would take in what lies beside them, and leave out what a signature asks it
    to. Links are followed, as the cache of the Hub is made of them.

    Attributes:
        asked: whether hashes were wanted; for a signature that is so once it has proved genuine.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = False

    def hash(self, model_path: Path, *, files_to_hash: Iterable[Path] | None = None) -> Any:
        self.asked = True
        config = _require_library().hashing.Config().set_ignored_paths(paths=[SIGNATURE, WORK])
        names = [name for name in sealed_files(self.folder) if name != SIGNATURE]
        return config.set_allow_symlinks(True).hash(
            self.folder, files_to_hash=[self.folder / name for name in names]
        )

    def add_ignored_paths(self, *, model_path: Path, paths: Iterable[Path]) -> None:
        """What a signature asks to leave out stays in."""
