"""The judge as it was trained: it knows about 1,500 things, and sees next to nothing where there is nothing."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")

from training.judge.classes import NOTHING  # noqa: E402
from training.judge.judge import Judge, load_judge  # noqa: E402
from training.judge.questions import accuracy, answers  # noqa: E402
from training.judge.settings import WEIGHTS  # noqa: E402
from training.judge.supply import noise_picture  # noqa: E402
from training.scenes.scene import Background, Item, Scene  # noqa: E402

PICTURES = 48
MOST_BYTES = 16e6


@pytest.fixture(scope="module")
def judge() -> Judge:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield load_judge(WEIGHTS)
    torch.set_num_threads(threads)


def plain_pictures() -> torch.Tensor:
    """One colour each, and gradients from one to another: uint8 (n, 3, 256, 256)."""
    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, PICTURES, 3, 1, 1, generator=generator) * 255
    way = torch.linspace(0, 1, 256).expand(PICTURES, 3, 256, 256) * (torch.arange(PICTURES) % 2).view(-1, 1, 1, 1)
    return torch.lerp(first, second, way).byte()


def noise_pictures() -> torch.Tensor:
    random = Random("test")
    return torch.stack([noise_picture(random, 256) for _ in range(PICTURES)])


def evenly_random_pictures() -> torch.Tensor:
    return torch.randint(0, 256, (PICTURES, 3, 256, 256), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_it_is_small_and_knows_many_things(judge: Judge) -> None:
    files = list(Path(WEIGHTS).iterdir())
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES
    assert len(judge.classes.things) > 1300
    assert judge.classes.things[0] == NOTHING


@pytest.mark.parametrize("pictures", [plain_pictures, noise_pictures, evenly_random_pictures])
def test_it_is_near_chance_where_there_is_nothing(judge: Judge, pictures: object) -> None:
    readings = judge.read(pictures())
    seen = [one for reading in readings for one in reading.seen]
    assert len(seen) < 0.2 * PICTURES, [one.thing for one in seen]

    random = Random("asked")
    things, colours = judge.classes.things[1:], judge.classes.colours
    asked = [
        Scene(
            (Item(random.choice(things), 0, 0, 0, random.choice(("small", "big")), random.choice(colours)),) * 2,
            Background("", ()),
        )
        for _ in readings
    ]
    rows = [answers(scene, reading, judge.classes) for scene, reading in zip(asked, readings, strict=True)]
    assert accuracy(rows)["overall"][0] < 0.03


def test_it_tells_plain_backgrounds(judge: Judge) -> None:
    white = torch.full((1, 3, 256, 256), 255, dtype=torch.uint8)
    assert judge.read(white)[0].background == Background("plain", ("white",))


def test_features_are_those_of_the_pictures(judge: Judge) -> None:
    features = judge.features(plain_pictures())
    assert features.shape == (PICTURES, 256)
    assert abs(features[:3] - judge.features(plain_pictures()[:3])).max() < 1e-3
    assert abs(features[0] - features[1]).max() > 1e-3
