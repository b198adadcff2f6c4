"""What goes wrong with the Hub, as one sentence with the next step; and when to ask again.

The client retries reads of files by itself, and gives a fault in many shapes: its own errors, its
transport's, or either as the cause of another. So the whole chain of causes is looked at.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from huggingface_hub import constants, is_offline_mode
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)

from dashzoo.hub.names import HubName
from dashzoo_search.errors import BundleExists, DashzooError, HubFailed, NotFetched, UnknownModel

__all__ = ["ask"]

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

# Root of what the client's transport raises, whichever transport the client is built on.
_TransportError: type[Exception] = HfHubHTTPError.__bases__[0]
_WAITS = (1.0, 4.0)
_LONGEST_WAIT = 60.0
_PASSING = (408, 429, 500, 502, 503, 504)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def ask(
    call: Callable[[], Answer], *, name: HubName | None, again: str, repeat: bool = True
) -> Answer:
    """What ``call`` gives; where the Hub stumbles, it is called again, twice at most.

    Args:
        call: of the client; harmless to repeat where ``repeat``.
        name: what is asked about, for the sentence.
        again: the command that does the same.
        repeat: whether ``call`` may be repeated.

    Raises:
        UnknownModel: there is no such repository, revision or file.
        NotFetched: it is not on this machine, and the Hub is out of reach.
        HubFailed: the Hub refused, failed, or could not be reached.
        BundleExists: somebody else changed the repository, or made it, meanwhile.
    """
    for usual in (*_WAITS, None):
        try:
            return call()
        except DashzooError:
            raise
        except Exception as error:
            wait = _patience(error, usual) if usual and repeat else None
            if wait is None:
                sentence = _sentence(error, name, again)
                if sentence is None:
                    raise
                raise sentence from error
            logger.warning("The Hub stumbled (%s); asking again in %.0f s", error, wait)
            time.sleep(wait)
    raise AssertionError("the last turn returns or raises")


def _patience(error: BaseException, usual: float) -> float | None:
    """Seconds after which it makes sense to ask again; None where it makes none."""
    refusal, broken = _first(error, HfHubHTTPError), _first(error, _TransportError)
    if refusal is None:
        return usual if broken is not None else None
    if refusal.response.status_code not in _PASSING:
        return None
    wait = _retry_after(refusal)
    if wait is None:
        return usual
    return wait if wait <= _LONGEST_WAIT else None


def _sentence(error: BaseException, name: HubName | None, again: str) -> DashzooError | None:
    """Our error for the client's; None for what is no fault of the Hub, network or disk."""
    what = "what was asked" if name is None else str(name)
    endpoint = constants.ENDPOINT
    full = next((e for e in _chain(error) if getattr(e, "errno", None) in _NO_SPACE), None)
    if full is not None:
        return HubFailed(
            f"The disk is full ({constants.HF_HUB_CACHE}); free some space, or set HF_HOME to a "
            f"folder on a larger disk, then run '{again}': what was fetched is kept"
        )
    refusal = _first(error, HfHubHTTPError)
    if refusal is not None:
        if "/xet-" in str(refusal.response.url) and refusal.response.status_code == 404:
            return _without_xet(again)
        return _refused(refusal, name, what, again)
    if _is_xet_token(error):
        return _without_xet(again)
    missing = _first(error, LocalEntryNotFoundError) or _first(error, RevisionResolutionError)
    if is_offline_mode():
        if missing is not None:
            return NotFetched(
                f"{what} is not on this machine and HF_HUB_OFFLINE is set; where there is a "
                f"network, run 'HF_HUB_OFFLINE=0 {again}'"
            )
        return HubFailed(f"HF_HUB_OFFLINE is set, so the Hub is not asked; unset it for '{again}'")
    if missing is not None:
        return NotFetched(
            f"{what} is not on this machine and {endpoint} cannot be reached; once it can, run "
            f"'{again}'"
        )
    if (broken := _first(error, _TransportError)) is not None:
        return HubFailed(
            f"The line to {endpoint} broke ({type(broken).__name__}); check the network and "
            f"HF_ENDPOINT, then run '{again}': it goes on where it stopped"
        )
    return None


def _refused(refusal: HfHubHTTPError, name: HubName | None, what: str, again: str) -> DashzooError:
    status = refusal.response.status_code
    endpoint = constants.ENDPOINT
    repo = "" if name is None else name.repo
    # What a server says may hold terminal codes.
    message = "".join(c if c.isprintable() else " " for c in refusal.server_message or "")
    said = f" ({message})" if message else ""
    if isinstance(refusal, GatedRepoError):
        return HubFailed(
            f"{repo} is open only to those its owners let in; ask for access at "
            f"{endpoint}/{repo}, run 'hf auth login', then '{again}'",
            status=status,
        )
    if status == 401:
        return HubFailed(
            f"{endpoint} does not show {what} to a stranger; if it exists, run 'hf auth login' "
            f"or set HF_TOKEN, then run '{again}'",
            status=status,
        )
    if isinstance(refusal, RevisionNotFoundError):
        return UnknownModel(
            f"{repo} has no revision {name.revision if name else ''!r}; "
            f"run 'hf repos tag list {repo}' for those it has"
        )
    if isinstance(refusal, RepositoryNotFoundError):
        return UnknownModel(
            f"{endpoint} has no model {repo}, or your token may not see it; run "
            "'dashzoo list --remote' for what there is, or 'hf auth login'"
        )
    if isinstance(refusal, EntryNotFoundError):
        return UnknownModel(
            f"{what} is no bundle of dashzoo's; load it with "
            f"timm.create_model('hf-hub:{what}', pretrained=True)"
        )
    if status == 403:
        return HubFailed(
            f"Your token may not do that to {what}{said}; make one with write access at "
            f"{endpoint}/settings/tokens, run 'hf auth login', then '{again}'",
            status=status,
        )
    if status in (409, 412):
        return BundleExists(
            f"Somebody changed {what} at the same time{said}; nothing was overwritten, run "
            f"'{again}' to look again"
        )
    if status == 429:
        wait = _retry_after(refusal)
        when = "a few minutes" if wait is None else f"{wait:.0f} s"
        return HubFailed(f"{endpoint} wants a rest (429); in {when} run '{again}'", status=status)
    if status >= 500:
        return HubFailed(
            f"{endpoint} has a fault of its own ({status}); later run '{again}': it goes on where "
            "it stopped",
            status=status,
        )
    return HubFailed(
        f"{endpoint} refused ({status}){said}; mend that, then run '{again}'", status=status
    )


def _without_xet(again: str) -> HubFailed:
    return HubFailed(
        f"{constants.ENDPOINT} does not speak Xet; run 'HF_HUB_DISABLE_XET=1 {again}'", status=404
    )


def _is_xet_token(error: BaseException) -> bool:
    """hf-xet fetches its tokens itself; its errors have no types of their own for that."""
    return any("xet-write-token" in str(e) or "xet-read-token" in str(e) for e in _chain(error))


def _retry_after(refusal: HfHubHTTPError) -> float | None:
    told = refusal.response.headers.get("retry-after", "")
    return float(told) if told.isdigit() else None


Kind = TypeVar("Kind", bound=BaseException)


def _first(error: BaseException, kind: type[Kind]) -> Kind | None:
    return next((e for e in _chain(error) if isinstance(e, kind)), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
