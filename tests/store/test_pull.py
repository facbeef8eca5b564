"""Models are fetched from hubs, mirrors, peers and folders, and nothing is fetched twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nutshell.errors import FetchError, ModelError, Offline, PickleRefused, StoreError, UsageError
from nutshell.store.hubs import HuggingFace
from nutshell.store.local import open_folder
from nutshell.store.peer import Peer
from nutshell.store.serve import serving_store
from nutshell.store.store import Store
from nutshell.store.web import Web
from tests.store.conftest import WEIGHTS, Fetch, Story, content, hugging_face, model_files, model_scope, needed
from tests.store.hub import COMMIT, Fault, Handler, Hub, serving, sha256


def breaking_at(place: int) -> Fault:
    """Every connection for the large file ends there."""

    def fault(handler: Handler, data: bytes) -> bool:
        if len(data) < 200_000:
            return False
        handler.send(data, max(0, place - handler.start()))
        return True

    return fault


def missing(handler: Handler, data: bytes) -> bool:
    handler.answer(404, b"Entry not found")
    return True


def test_a_model_comes_whole_from_hugging_face(fetch: Fetch, store: Store, hub: Hub, story: Story) -> None:
    pulled = fetch(hub)
    assert content(store.view("tiny")) == needed(hub)
    assert pulled.manifest == store.manifest("tiny")
    assert (pulled.manifest.source, pulled.manifest.revision, pulled.manifest.licence) == (
        "hf:owner/name",
        COMMIT,
        "MIT",
    )
    assert pulled.fetched == story.bytes_sum == sum(map(len, needed(hub).values()))
    assert story.planned == (pulled.fetched, 0)
    assert not store.verify("tiny").bad


def test_a_model_comes_whole_from_modelscope(fetch: Fetch, store: Store, hub: Hub, web: Web) -> None:
    assert fetch(model_scope(web, hub)).manifest.source == "ms:owner/name"
    assert content(store.view("tiny")) == needed(hub)


def test_what_is_here_asks_nobody(fetch: Fetch, hub: Hub) -> None:
    fetch(hub)
    hub.asked.clear()
    hub.listings = 0
    assert fetch(hub).fetched == 0
    with Web(offline=True) as web:
        assert fetch(hugging_face(web, hub)).fetched == 0
    assert (hub.asked, hub.listings) == ([], 0)


def test_only_what_is_missing_is_fetched_and_the_pins_hold(fetch: Fetch, store: Store, hub: Hub) -> None:
    fetch(hub)
    store.remove("tiny")
    pins = json.loads((store.folder / "models.lock.json").read_text())["models"]["tiny"]
    assert pins["revision"] == COMMIT
    assert {path: row["sha256"] for path, row in pins["files"].items() if path != "README.md"} == {
        path: sha256(data) for path, data in needed(hub).items()
    }
    hub.files[WEIGHTS] = b"X" * len(hub.files[WEIGHTS])
    with pytest.raises(FetchError, match="other content than was listed"):
        fetch(hub)
    assert "tiny" not in store.manifests()
    hub.asked.clear()
    fetch(hub, update=True)
    assert [path for path, _ in hub.asked] == [WEIGHTS, "vae/config.json", "vae/diffusion_pytorch_model.safetensors"]
    assert content(store.view("tiny")) == needed(hub)


def test_files_are_shared_between_models(fetch: Fetch, store: Store, hub: Hub) -> None:
    fetch(hub)
    hub.asked.clear()
    hub.files["unet/config.json"] = b'{"sample_size": 32}'
    fetch(hub, name="other")
    large = {path for path, data in hub.files.items() if len(data) > 1000}
    assert not large & {path for path, _ in hub.asked}


@pytest.mark.parametrize("second", ["modelscope", "mirror", "peer", "folder", "plain folder"])
def test_any_source_goes_on_where_another_broke(
    second: str, fetch: Fetch, store: Store, hub: Hub, web: Web, tmp_path: Path
) -> None:
    cut = len(hub.files[WEIGHTS]) // 2
    hub.faults[:] = [breaking_at(cut)] * 200
    with pytest.raises(FetchError, match=r"the connection to \S+ was cut"):
        fetch(hub)
    hub.faults.clear()
    part = store.folder / "blobs" / f"sha256-{sha256(hub.files[WEIGHTS])}.part"
    hub.asked.clear()
    other = Store(tmp_path / "other")
    if second in ("peer", "folder"):
        fetch(hub, store=other)
        hub.asked.clear()
    have = part.stat().st_size
    assert cut <= have < len(hub.files[WEIGHTS])
    with serving(Hub(hub.files)) as mirror, serving_store(other, ("127.0.0.1", 0)) as address:
        plain = tmp_path / "plain"
        for path, data in hub.files.items():
            (plain / path).parent.mkdir(parents=True, exist_ok=True)
            (plain / path).write_bytes(data)
        hub.faults[:] = [missing] * 100
        origin = {
            "modelscope": lambda: model_scope(web, mirror),
            "mirror": lambda: hugging_face(web, mirror),
            "peer": lambda: Peer(web, f"http://127.0.0.1:{address[1]}", "tiny"),
            "folder": lambda: open_folder(other.folder, "tiny"),
            "plain folder": lambda: open_folder(plain, "tiny"),
        }[second]()
        fetch(hub, origin)
        starts = [start for path, start in mirror.asked if path == WEIGHTS]
    assert starts in ([], [have])
    assert content(store.view("tiny")) == needed(hub)


def test_a_hub_that_is_down_is_replaced_by_the_other(fetch: Fetch, store: Store, hub: Hub, web: Web) -> None:
    fetch(HuggingFace(web, "owner/name", "main", "http://127.0.0.1:9"), model_scope(web, hub))
    assert content(store.view("tiny")) == needed(hub)


def test_a_model_comes_from_a_folder_without_a_network(fetch: Fetch, store: Store, hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "stick" / "nutshell-models" / "tiny"
    for path, data in hub.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    fetch(open_folder(tmp_path / "stick", "tiny"))
    assert content(store.view("tiny")) == needed(hub)
    single = tmp_path / "one.safetensors"
    single.write_bytes(b"weights")
    fetch(open_folder(single, "one"), name="one")
    assert content(store.view("one")) == {"one.safetensors": b"weights"}
    with pytest.raises(FetchError, match="has no model else"):
        open_folder(tmp_path / "stick", "else")


def test_offline_asks_nobody(fetch: Fetch, hub: Hub) -> None:
    with Web(offline=True) as web, pytest.raises(Offline, match="the setting offline forbids"):
        fetch(hugging_face(web, hub))
    assert hub.listings == 0


def test_the_token_goes_to_the_hub_and_nowhere_else(fetch: Fetch, store: Store, hub: Hub, web: Web) -> None:
    with serving(Hub(hub.files)) as storage:
        hub.storage = storage.url.replace("127.0.0.1", "localhost")
        fetch(hugging_face(web, hub, "hf_secret"))
        assert set(hub.tokens) == {"Bearer hf_secret"}
        assert len(storage.tokens) == 3
        assert set(storage.tokens) == {""}
    assert content(store.view("tiny")) == needed(hub)


def test_there_must_be_room(fetch: Fetch, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nutshell.store.pull.free_bytes", lambda folder: 1_000_000)
    hub.files[WEIGHTS] *= 100
    with pytest.raises(StoreError, match=r"tiny needs 30\.1 MB of disk and .* has 1\.0 MB free"):
        fetch(hub)
    assert hub.asked == []


@pytest.mark.parametrize("path", ["../../x.json", "/etc/x.json", "unet/../../x.json", "unet/CON.json", "unet\\x.json"])
def test_a_listing_cannot_reach_outside(fetch: Fetch, store: Store, hub: Hub, path: str) -> None:
    hub.files[path] = b"evil"
    with pytest.raises(ModelError, match="unsafe name"):
        fetch(hub, patterns=("*.json", "*.safetensors"))
    assert not hub.asked


def test_links_and_folders_in_a_listing_are_no_files(fetch: Fetch, store: Store, hub: Hub) -> None:
    hub.extra_rows = [{"type": "symlink", "path": "unet/link.json", "oid": "0" * 40, "size": 3}]
    fetch(hub)
    assert content(store.view("tiny")) == needed(hub)


def test_half_precision_is_preferred_and_duplicates_are_left(fetch: Fetch, store: Store, hub: Hub) -> None:
    half = "unet/diffusion_pytorch_model.fp16.safetensors"
    hub.files |= {
        half: b"half" * 500,
        "v1-5-pruned.safetensors": b"everything once more",
        "unet/diffusion_pytorch_model.bin": b"pickle",
        "unet/diffusion_pytorch_model.non_ema.safetensors": b"for training",
        "safety_checker/model.safetensors": b"unused",
    }
    fetch(hub)
    assert {path for path in content(store.view("tiny")) if path.endswith(".safetensors")} == {
        half,
        "vae/diffusion_pytorch_model.safetensors",
    }


@pytest.mark.parametrize(
    ("files", "error", "says"),
    [
        ({"model_index.json": b"{}", "unet/model.bin": b"x"}, PickleRefused, "pickles only"),
        ({"README.md": b"x"}, ModelError, "no .safetensors weights"),
        ({"a.safetensors": b"x", "b.safetensors": b"y"}, UsageError, "holds several models: a.safetensors, b.safe"),
    ],
)
def test_what_cannot_be_used_is_not_fetched(
    fetch: Fetch, hub: Hub, files: dict[str, bytes], error: type[Exception], says: str
) -> None:
    hub.files = files
    with pytest.raises(error, match=says):
        fetch(hub)
    assert not hub.asked


def test_a_single_file_and_a_part_by_itself(fetch: Fetch, store: Store, hub: Hub) -> None:
    hub.files = {"dream.safetensors": b"weights", "LICENSE.md": b"MIT", "sample.png": b"x"}
    fetch(hub)
    assert set(content(store.view("tiny"))) == {"dream.safetensors", "LICENSE.md"}
    hub.files = {"config.json": b"{}", "diffusion_pytorch_model.safetensors": b"w", "taesd_encoder.safetensors": b"e"}
    fetch(hub, name="part")
    assert set(content(store.view("part"))) == {"config.json", "diffusion_pytorch_model.safetensors"}


def test_files_of_one_content_are_fetched_once(fetch: Fetch, store: Store, hub: Hub) -> None:
    hub.files["text_encoder/model.safetensors"] = hub.files[WEIGHTS]
    fetch(hub)
    assert content(store.view("tiny")) == needed(hub)
    assert len([1 for path, _ in hub.asked if len(hub.files[path]) == 300_000]) == 1


def test_a_flipped_bit_costs_one_file(fetch: Fetch, store: Store, hub: Hub) -> None:
    fetch(hub)
    path = store.view("tiny") / WEIGHTS
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(777)
        file.write(bytes([path.read_bytes()[777] ^ 4]))
    store.set_aside(store.verify("tiny"))
    hub.asked.clear()
    fetch(hub)
    assert hub.asked == [(WEIGHTS, 0)]
    assert content(store.view("tiny")) == needed(hub)


def test_another_model_of_that_name_is_another_model(fetch: Fetch, store: Store, hub: Hub) -> None:
    fetch(hub)
    with serving(Hub(model_files(seed=2))) as other:
        fetch(other, update=True)
        assert content(store.view("tiny")) == needed(other)
    assert not store.verify("tiny").bad
    blobs = list((store.folder / "blobs").iterdir())
    assert len(blobs) == len(store.manifest("tiny").files)


def test_a_source_that_fails_is_passed_by(fetch: Fetch, store: Store, hub: Hub, web: Web, story: Story) -> None:
    """A peer that is switched off costs one try, and no wait."""
    fetch(Peer(web, "http://127.0.0.1:9", "tiny"), hub)
    assert content(store.view("tiny")) == needed(hub)
    assert story.waits == []


def test_parts_that_nobody_wants_any_more_go(fetch: Fetch, store: Store, hub: Hub) -> None:
    hub.faults = [breaking_at(100_000)] * 200
    with pytest.raises(FetchError):
        fetch(hub)
    assert list((store.folder / "blobs").glob("*.part"))
    hub.faults.clear()
    hub.files[WEIGHTS] = b"new" * 100_000
    fetch(hub, update=True)
    assert not list((store.folder / "blobs").glob("*.part"))
    assert content(store.view("tiny")) == needed(hub)
