"""A store answers peers, read-only."""

from __future__ import annotations

import http.client
from pathlib import Path

import pytest

from nutshell.store.serve import serving_store
from nutshell.store.store import Store
from nutshell.store.web import Web
from tests.store.conftest import Fetch, content
from tests.store.test_store import FILES, add


def ask(
    address: tuple[str, int], path: str, method: str = "GET", **headers: str
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection(*address, timeout=20)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(), response.msg
    finally:
        connection.close()


def test_blobs_and_their_parts_are_answered(tmp_path: Path) -> None:
    store = Store(tmp_path)
    file = next(each for each in add(store, "one", FILES).files if each.path.startswith("unet/model"))
    data, path = FILES[file.path], f"/blobs/sha256-{file.sha256}"
    with serving_store(store, ("127.0.0.1", 0)) as address:
        assert ask(address, path)[:2] == (200, data)
        assert ask(address, path, Range="bytes=10-")[:2] == (206, data[10:])
        status, part, headers = ask(address, path, Range="bytes=10-19")
        assert (status, part, headers["Content-Range"]) == (206, data[10:20], f"bytes 10-19/{len(data)}")
        assert ask(address, path, Range=f"bytes={len(data)}-")[0] == 416
        assert ask(address, path, "HEAD")[:2] == (200, b"")
        assert ask(address, "/manifests/one.json")[:2] == (200, (tmp_path / "manifests" / "one.json").read_bytes())


@pytest.mark.parametrize(
    "path",
    ["/", "/blobs/", "/blobs/sha256-00", "/manifests/../models.lock.json", "/manifests/..%2fmodels.lock.json",
     "/models.lock.json", f"/blobs/sha256-{'0' * 64}", f"/blobs/sha256-{'0' * 64}.part"],
)  # fmt: skip
def test_nothing_else_is_told(tmp_path: Path, path: str) -> None:
    store = Store(tmp_path)
    add(store, "one", FILES)
    (tmp_path / "models.lock.json").write_text("{}")
    with serving_store(store, ("127.0.0.1", 0)) as address:
        assert ask(address, path)[:2] == (404, b"")
        assert ask(address, path, "POST")[0] == 501
        assert ask(address, path, "DELETE")[0] == 501


def test_a_model_comes_whole_from_a_peer(tmp_path: Path, fetch: Fetch, store: Store, web: Web) -> None:
    from nutshell.store.peer import Peer

    other = Store(tmp_path / "other")
    manifest = add(other, "one", FILES)
    with serving_store(other, ("127.0.0.1", 0)) as address:
        pulled = fetch(Peer(web, f"http://127.0.0.1:{address[1]}", "one"), name="one")
    assert (pulled.manifest.files, pulled.manifest.source) == (manifest.files, manifest.source)
    assert content(store.view("one")) == FILES
