"""Fetches a published checkpoint from the Hugging Face hub at a pinned commit; nothing is ever sent there.

The library's own environment variables hold: HF_TOKEN, HF_HUB_OFFLINE, HF_ENDPOINT (a mirror), HF_HOME (the cache).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from encoders.checkpoint import file_sha256
from encoders.spec import Source

_COMMIT = re.compile(r"[0-9a-f]{40}")
_ADDRESS = re.compile(r"(?P<hub_id>[\w.-]+/[\w.-]+)@(?P<revision>[^@:/]+)(:(?P<file>[^@:]+))?")
_T = TypeVar("_T")


class HubAddress(NamedTuple):
    """One file of a hub repository at one commit (40 hexadecimal digits: branches and tags move)."""

    hub_id: str
    revision: str
    file: str

    def __str__(self) -> str:
        return f"{self.hub_id}@{self.revision}:{self.file}"


def parse_address(weights: str, source: Source, revision: str | None) -> HubAddress | None:
    """The hub file that `weights` means, or None if it means a local path.

    Args:
        weights: "hub" for the published repository, or "org/name@commit", "org/name@commit:file".
        source: gives the repository, commit and file that are not named.
        revision: the commit, where `weights` names none.

    Raises:
        ValueError: no commit, no full commit, two different ones, or weights that are not on the hub.
    """
    match = _ADDRESS.fullmatch(weights)
    if weights != "hub" and (match is None or Path(weights).exists()):
        if revision is not None:
            raise ValueError(f"revision {revision!r} is for weights on the hub; weights are {weights!r}")
        return None
    named = match.groupdict() if match else {}
    hub_id, file = named.get("hub_id") or source.hub_id, named.get("file") or source.file
    if hub_id is None or not file:
        raise ValueError(f"these weights are not on the hub; get them at {source.url} and give the file's path")
    if match and revision not in (None, named["revision"]):
        raise ValueError(f"weights name commit {named['revision']!r}, revision says {revision!r}")
    commit = named.get("revision") or revision or source.revision
    if commit is None or not _COMMIT.fullmatch(commit):
        given = "no commit is known" if commit is None else f"{commit!r} is no full commit"
        raise ValueError(
            f"{hub_id}: {given}, and weights are loaded at a pinned one (40 hexadecimal digits). Take today's with "
            f"`python -m encoders pin {hub_id}`, then give it as the revision, or weights={hub_id}@COMMIT"
        )
    return HubAddress(hub_id, commit, file)


def download(address: HubAddress) -> Path:
    """The file in the local cache, downloaded at need.

    Raises:
        ValueError: gated, no such repository, commit or file, no network, or bytes that are not the hub's.
    """
    from huggingface_hub import hf_hub_download

    path = Path(_ask(lambda: hf_hub_download(address.hub_id, address.file, revision=address.revision), address.hub_id))
    # The hub's tag of a large file is its SHA-256, and the cache names the file by it.
    blob = path.resolve()
    if re.fullmatch(r"[0-9a-f]{64}", blob.name) and file_sha256(blob) != blob.name:
        raise ValueError(f"{address} in the cache is not what the hub published; delete {blob} and load it again")
    return path


def current_commit(hub_id: str) -> str:
    """The commit that a repository's main branch is at now, to pin.

    Raises:
        ValueError: gated, no such repository, or no network.
    """
    from huggingface_hub import HfApi

    commit = _ask(lambda: HfApi().repo_info(hub_id, revision="main").sha, hub_id)
    if commit is None:
        raise ValueError(f"the hub names no commit of {hub_id}")
    return commit


def _ask(call: Callable[[], _T], hub_id: str) -> _T:
    """The answer of the hub's library, or a ValueError in plain words."""
    from huggingface_hub import constants, errors

    url = f"{constants.ENDPOINT}/{hub_id}"
    try:
        return call()
    except errors.GatedRepoError:
        reason = f"is gated: ask for access at {url}, then set HF_TOKEN to a token of that account"
    except errors.RevisionNotFoundError:
        reason = f"has no such commit; see {url}/commits/main"
    except errors.RepositoryNotFoundError:
        reason = f"does not exist, or is private and HF_TOKEN does not open it: {url}"
    except errors.LocalEntryNotFoundError:
        offline = "HF_HUB_OFFLINE forbids to ask" if constants.is_offline_mode() else f"{url} cannot be reached"
        reason = f"is not in the local cache, and {offline}"
    except errors.EntryNotFoundError:
        reason = f"has no such file at that commit; see {url}/tree/main"
    except Exception as error:  # its network errors have no common base over the library's versions (httpx, httpx2)
        reason = (
            f"cannot be loaded from {url}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        )
    raise ValueError(f"hub repository {hub_id} {reason}")
