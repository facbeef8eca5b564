"""A hub, a store, and a model of random bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nutshell.store.hubs import HuggingFace, ModelScope
from nutshell.store.pull import Pulled, Wanted, pull
from nutshell.store.store import Store
from nutshell.store.watch import Patience, Watch
from nutshell.store.web import Pace, Web
from tests.store.hub import Hub, serving

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


def model_files(seed: int = 1, size: int = 300_000) -> dict[str, bytes]:
    """The files of a small diffusers folder; three are large, with hashes of their own kind in a hub's listing."""
    noise = random.Random(seed)
    return {
        "model_index.json": b'{"_class_name": "StableDiffusionPipeline"}',
        "README.md": b"not needed",
        "unet/config.json": b'{"sample_size": 64}',
        WEIGHTS: noise.randbytes(size),
        "vae/config.json": b"{}",
        "vae/diffusion_pytorch_model.safetensors": noise.randbytes(size // 3),
        "tokenizer/vocab.json": noise.randbytes(2000),
    }


class Story(Watch):
    """Remembers what was told."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.bytes_sum = 0
        self.planned = (0, 0)
        self.notes: list[str] = []

    def plan(self, name: str, total: int, here: int) -> None:
        self.planned = (total, here)

    def bytes(self, count: int) -> None:
        self.bytes_sum += count

    def wait(self, seconds: float, reason: str) -> None:
        self.waits.append(seconds)

    def note(self, text: str) -> None:
        self.notes.append(text)


Fetch = Callable[..., Pulled]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers of these tests are on this machine, wherever its proxy is."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub(model_files())) as served:
        yield served


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(pace=Pace(connect_seconds=20, silence_seconds=20)) as opened:
        yield opened


@pytest.fixture
def fetch(store: Store, story: Story, web: Web) -> Fetch:
    """Pull `tiny` from hubs, Hugging Face unless told otherwise; nothing ever sleeps."""

    def fetched(*hubs: Hub | Any, name: str = "tiny", **options: Any) -> Pulled:
        origins: Sequence[Any] = [hugging_face(web, each) if isinstance(each, Hub) else each for each in hubs]
        patience = Patience(sleep=lambda seconds: None)
        wanted = Wanted(name, options.pop("patterns", ()), "MIT")
        return pull(options.pop("store", store), wanted, origins, patience=patience, watch=story, **options)

    return fetched


def hugging_face(web: Web, hub: Hub, token: str = "") -> HuggingFace:
    return HuggingFace(web, "owner/name", "main", hub.url, token)


def model_scope(web: Web, hub: Hub) -> ModelScope:
    return ModelScope(web, "owner/name", "master", hub.url)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def needed(hub: Hub) -> dict[str, bytes]:
    """What of a hub's files a model consists of."""
    return {path: data for path, data in hub.files.items() if path != "README.md"}
