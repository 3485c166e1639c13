"""The hub, played by a local server that answers as the hub does to its own client library."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from safetensors.torch import save

from encoders.hub import HubAddress, parse_address
from encoders.spec import Source
from tests.encoders import made

ROOT = Path(__file__).parents[2]
COMMIT, OTHER = "a" * 40, "b" * 40
TOKEN = "hf_made_token"
WEIGHTS = save(made.hub_state())
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
REPOSITORIES = {  # name -> file -> (tag, bytes): of large files the hub's tag is their SHA-256
    "lab/made": {
        "made.safetensors": (SHA256, WEIGHTS),
        "sub/other.safetensors": (SHA256, WEIGHTS),
        "torn.safetensors": ("0" * 64, WEIGHTS),
    },
    "lab/gated": {"made.safetensors": (SHA256, WEIGHTS)},
}
SOURCE = Source(url="https://lab.example/made", file="made.safetensors", hub_id="lab/made", revision=COMMIT)


class Hub(BaseHTTPRequestHandler):
    """HEAD and GET of /ORG/REPO/resolve/COMMIT/FILE and of /api/models/ORG/REPO/revision/main."""

    asked: list[tuple[str, str, str | None]]

    def do_HEAD(self) -> None:
        parts = self.path.strip("/").split("/")
        type(self).asked.append((self.command, self.path, self.headers.get("Authorization")))
        is_info = parts[:2] == ["api", "models"]
        name = "/".join(parts[2:4] if is_info else parts[:2])
        if name not in REPOSITORIES:
            return self.answer(401, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        if name == "lab/gated" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(403, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"})
        if is_info:
            return self.answer(200, json.dumps({"id": name, "sha": COMMIT}).encode(), {})
        commit, file = parts[3], "/".join(parts[4:])
        if commit != COMMIT:
            return self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        if file not in REPOSITORIES[name]:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        tag, content = REPOSITORIES[name][file]
        return self.answer(200, content, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT})

    do_GET = do_HEAD

    def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


# The library reads its endpoint when it is imported, hence a process of its own; one for all calls.
ASK = """
import json, os, sys, time
time.sleep = lambda seconds: None  # the library tries again for 23 s
from encoders.fingerprint import origin_of
from encoders.hub import HubAddress, current_commit, download
from encoders.registry import load_encoder
from tests.encoders import made

def tried(call):
    try:
        return call()
    except ValueError as error:
        return f"ValueError: {error}"

def loaded(**how):
    origin = origin_of(load_encoder("made", preprocessing=made.RECIPE, **how))
    return [origin.weights, origin.file_sha256, origin.layout]

def answer(call):
    os.environ.pop("HF_TOKEN", None)
    os.environ |= call.pop("env", {})
    kind = call.pop("kind")
    if kind == "download":
        return tried(lambda: download(HubAddress(**call)).read_bytes().hex()[:16])
    if kind == "commit":
        return tried(lambda: current_commit(**call))
    return tried(lambda: loaded(**call))

with made.registered(source=made.SPEC.source.__class__(**json.loads(sys.argv[1]))):
    print(json.dumps([answer(call) for call in json.loads(sys.argv[2])]))
"""


def ask(calls: list[dict[str, Any]], endpoint: str, cache: Path, **env: str) -> list[Any]:
    keep = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps(vars(SOURCE)), json.dumps(calls)],
        cwd=ROOT,
        env={**keep, "HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "NO_PROXY": "*", **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def of(file: str = "made.safetensors", hub_id: str = "lab/made", revision: str = COMMIT, **more: Any) -> dict[str, Any]:
    return {"kind": "download", "hub_id": hub_id, "revision": revision, "file": file, **more}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def answers(hub: str, cache: Path) -> dict[str, Any]:
    calls = {
        "hub": {"kind": "load", "weights": "hub"},
        "again": {"kind": "load", "weights": "hub"},
        "address": {"kind": "load", "weights": f"lab/made@{COMMIT}:sub/other.safetensors"},
        "revision": {"kind": "load", "weights": "hub", "revision": OTHER},
        "commit": {"kind": "commit", "hub_id": "lab/made"},
        "no repository": of(hub_id="lab/none"),
        "no file": of("none.safetensors"),
        "torn": of("torn.safetensors"),
        "gated": of(hub_id="lab/gated"),
        "gated, token": of(hub_id="lab/gated", env={"HF_TOKEN": TOKEN}),
        "commit of none": {"kind": "commit", "hub_id": "lab/none"},
    }
    return dict(zip(calls, ask(list(calls.values()), hub, cache), strict=True))


def test_weights_from_the_hub_are_loaded_and_their_origin_and_sum_recorded(answers):
    assert answers["hub"] == [f"lab/made@{COMMIT}:made.safetensors", SHA256, "the hub's"]
    assert answers["address"] == [f"lab/made@{COMMIT}:sub/other.safetensors", SHA256, "the hub's"]


def test_a_pinned_file_in_the_cache_is_not_asked_for_again(answers):
    assert answers["again"] == answers["hub"]
    path = f"/lab/made/resolve/{COMMIT}/made.safetensors"
    assert sorted(method for method, asked, _ in Hub.asked if asked == path) == ["GET", "HEAD"]


def test_the_commit_to_pin_is_the_one_main_is_at(answers):
    assert answers["commit"] == COMMIT


def test_what_the_hub_does_not_have_is_said_plainly_with_its_address(answers, hub):
    assert (
        answers["revision"]
        == f"ValueError: hub repository lab/made has no such commit; see {hub}/lab/made/commits/main"
    )
    assert answers["no file"].endswith(f"has no such file at that commit; see {hub}/lab/made/tree/main")
    for call in ("no repository", "commit of none"):
        assert answers[call].endswith(f"does not exist, or is private and HF_TOKEN does not open it: {hub}/lab/none")


def test_a_gated_repository_says_where_to_ask_and_opens_with_a_token(answers, hub):
    assert answers["gated"].endswith(
        f"is gated: ask for access at {hub}/lab/gated, then set HF_TOKEN to a token of that account"
    )
    assert answers["gated, token"] == WEIGHTS.hex()[:16]


def test_bytes_that_are_not_what_the_hub_published_are_refused(answers):
    assert "in the cache is not what the hub published; delete" in answers["torn"]


def test_nothing_is_sent_to_the_hub(answers):
    assert answers
    assert {method for method, _, _ in Hub.asked} == {"GET", "HEAD"}
    assert not any(token for _, path, token in Hub.asked if "gated" not in path)


def test_offline_what_is_cached_loads_and_the_rest_is_said_not_to_be(answers, hub, cache):
    asked = len(Hub.asked)
    calls = [{"kind": "load", "weights": "hub"}, of("none.bin"), {"kind": "commit", "hub_id": "lab/made"}]
    cached, absent, commit = ask(calls, hub, cache, HF_HUB_OFFLINE="1")
    assert cached == answers["hub"]
    assert absent == "ValueError: hub repository lab/made is not in the local cache, and HF_HUB_OFFLINE forbids to ask"
    assert "HF_HUB_OFFLINE" in commit
    assert len(Hub.asked) == asked


def test_a_hub_that_cannot_be_reached_is_said_to_be(tmp_path):
    nowhere = "http://127.0.0.1:9"
    download, commit = ask([of(), {"kind": "commit", "hub_id": "lab/made"}], nowhere, tmp_path)
    assert download.endswith(f"is not in the local cache, and {nowhere}/lab/made cannot be reached")
    assert f"cannot be loaded from {nowhere}/lab/made" in commit


@pytest.mark.parametrize(
    ("weights", "revision", "expected"),
    [
        ("hub", None, ("lab/made", COMMIT, "made.safetensors")),
        ("hub", OTHER, ("lab/made", OTHER, "made.safetensors")),
        (f"my/fine-tune.v2@{OTHER}", None, ("my/fine-tune.v2", OTHER, "made.safetensors")),
        (f"my/fork@{OTHER}:a/b.pt", OTHER, ("my/fork", OTHER, "a/b.pt")),
        ("folder/file.pt", None, None),
        ("model@home.pt", None, None),
    ],
)
def test_addresses_name_repository_commit_and_file(weights, revision, expected):
    address = parse_address(weights, SOURCE, revision)
    assert address == (expected and HubAddress(*expected))


@pytest.mark.parametrize(
    ("weights", "revision", "source", "message"),
    [
        ("hub", "main", SOURCE, r"lab/made: 'main' is no full commit.*`python -m encoders pin lab/made`"),
        ("my/fork@v1", None, SOURCE, r"my/fork: 'v1' is no full commit.*weights=my/fork@COMMIT"),
        (f"my/fork@{COMMIT[:12]}", None, SOURCE, "is no full commit"),
        ("hub", None, Source("u", "f", hub_id="lab/made"), "lab/made: no commit is known.*pinned"),
        ("hub", COMMIT, Source("https://form.example", "f"), "are not on the hub; get them at https://form.example"),
        (f"my/fork@{COMMIT}", OTHER, SOURCE, f"name commit '{COMMIT}', revision says '{OTHER}'"),
        ("file.pt", COMMIT, SOURCE, "revision 'a+' is for weights on the hub"),
    ],
)
def test_addresses_that_are_not_pinned_or_contradict_are_refused(weights, revision, source, message):
    with pytest.raises(ValueError, match=message):
        parse_address(weights, source, revision)


def test_a_file_whose_path_looks_like_an_address_is_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my").mkdir()
    (tmp_path / "my" / "weights@home").write_bytes(b"")
    assert parse_address("my/weights@home", SOURCE, None) is None
