"""The judge's parts on a world of discs and squares: no art, no network, seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")

from judge_stand_in import CLASSES, StandInSampler, StandInStudio  # noqa: E402

from training.judge.augment import blemish, quantize, shift  # noqa: E402
from training.judge.blocks import settle  # noqa: E402
from training.judge.classes import Classes  # noqa: E402
from training.judge.crops import CROP_PIXELS, CUT_PIXELS, crop, cut, random_jitter, shrink  # noqa: E402
from training.judge.evaluate import as_noise, confusions, measure, unseen_scenes  # noqa: E402
from training.judge.finder import CELLS, Finder, FinderTargets, finder_losses  # noqa: E402
from training.judge.judge import Judge, Widths, load_judge, save_judge  # noqa: E402
from training.judge.labels import covered  # noqa: E402
from training.judge.namer import Namer, Names, namer_losses  # noqa: E402
from training.judge.read import Reading, Seen  # noqa: E402
from training.judge.ring import Ring, Rows  # noqa: E402
from training.judge.settings import load_judge_settings  # noqa: E402
from training.judge.supply import Source  # noqa: E402
from training.judge.targets import build, decode  # noqa: E402
from training.judge.train import moved, train_finder, train_namer  # noqa: E402
from training.loop import Pace  # noqa: E402
from training.pixels import to_unit  # noqa: E402
from training.scenes.scene import Background, Item, Scene  # noqa: E402

SETTINGS = load_judge_settings()
WIDTHS = Widths((8, 16, 16, 32), (16, 32), (1, 1), 32)


@pytest.fixture(autouse=True)
def _one_thread() -> object:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def source(seed: str = "stand-in") -> Source:
    return Source(StandInSampler(), StandInStudio(), CLASSES, SETTINGS.supply, seed)


def test_boxes_come_back_from_their_targets() -> None:
    boxes = torch.zeros(2, 6, 5)
    boxes[0, 0] = torch.tensor([0.1, 0.2, 0.4, 0.6, 0.38])
    boxes[0, 1] = torch.tensor([0.55, 0.5, 0.95, 0.7, 0.4])
    boxes[1, 0] = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.9])
    heat, place = build(boxes, CELLS)
    assert [int(one.sum()) for one in heat == 1] == [2, 1]
    for spots, expected in zip(decode(heat, place, 0.9, 5), (boxes[0, :2], boxes[1, :1]), strict=True):
        found = torch.tensor(sorted((*spot.box, spot.side) for spot in spots))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_a_picture_without_boxes_has_no_heat() -> None:
    heat, place = build(torch.zeros(1, 6, 5), CELLS)
    assert heat.sum() == 0
    assert decode(heat, place, 0.1, 5) == [[]]


def test_only_those_behind_are_covered() -> None:
    assert covered([(0, 0, 0.5, 0.5), (0.4, 0.1, 0.9, 0.6), (0.9, 0.9, 1, 1)]) == [True, False, False]


def test_a_cut_holds_twice_the_box_and_a_crop_its_middle() -> None:
    pictures = torch.zeros(1, 3, 256, 256, dtype=torch.uint8)
    pictures[:, :, 96:160, 96:160] = 255
    box = torch.tensor([[0.375, 0.375, 0.625, 0.625]])
    cuts = cut(pictures, torch.tensor([0]), box)
    assert cuts.shape == (1, 3, CUT_PIXELS, CUT_PIXELS)
    assert float(cuts.float().mean()) / 255 == pytest.approx(1 / 4, abs=0.01)
    crops = crop(cuts)
    assert crops.shape == (1, 3, CROP_PIXELS, CROP_PIXELS)
    assert float((crops > 0).float().mean()) == pytest.approx(1 / 1.5**2, abs=0.03)
    moved = crop(cuts, torch.tensor([[1.0, 0.25, 0.0]]))  # the view goes right, what it shows goes left
    assert moved[0, 0, 32, :5].max() > 0 > moved[0, 0, 32, -16:].min()


def test_shrinking_takes_means() -> None:
    pictures = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    for factor in (1, 2, 4):
        means = torch.nn.functional.avg_pool2d(pictures.float(), factor)
        assert (shrink(pictures, factor) - means).abs().max() <= 0.5


def test_marks_are_slight() -> None:
    pictures = to_unit(source().draw(8)[0]["picture"])
    marked = blemish(pictures, share=1.0)
    assert marked.shape == pictures.shape
    assert 0 < float((marked - pictures).abs().mean()) < 0.2
    assert float((quantize(pictures) - pictures).abs().max()) < 0.8
    torch.testing.assert_close(shift(pictures, 2, 1)[:, :, 1:, 2:], pictures[:, :, :-1, :-2])


def test_boxes_move_with_their_pictures() -> None:
    pictures = torch.full((1, 3, 128, 128), -1.0)
    pictures[:, :, 32:64, 64:96] = 1
    boxes = torch.zeros(1, 6, 5)
    boxes[0, 0] = torch.tensor([0.5, 0.25, 0.75, 0.5, 0.25])
    for _ in range(4):
        shifted, with_them = moved(pictures, boxes)
        left, top, right, bottom = (with_them[0, 0, :4] * 128).round().int().tolist()
        assert bool((shifted[:, :, top:bottom, left:right] == 1).all())
        assert with_them[0, 1:].abs().sum() == 0


def test_mistakes_are_counted_where_one_thing_was_taken_for_another() -> None:
    ground = Background("plain", ("white",))
    scene = Scene((Item("disc", 0, 0, 0),), ground)
    seen = [Seen(name, "", (0, 0, 1, 1), "big") for name in ("disc", "square")]
    readings = [Reading((seen[1],), ground), Reading((seen[0],), ground), Reading((), ground)]
    assert confusions([scene] * 3, readings, CLASSES) == [("disc", "square", 1)]


def test_the_ring_asks_for_more_when_all_was_used_often_enough() -> None:
    ring = Ring(capacity=8, reuse=2.0)
    assert ring.wants(4)
    ring.put({"x": torch.arange(6)})
    for _ in range(2):
        assert not ring.wants(6)
        assert set(ring.take(6)["x"].tolist()) <= set(range(6))
    assert ring.wants(1)
    ring.put({"x": torch.arange(10, 16)})
    assert set(ring.take(200)["x"].tolist()) == {*range(4, 6), *range(10, 16)}


def test_classes_survive_their_file() -> None:
    assert Classes.from_json(CLASSES.to_json()) == CLASSES


def optimize(model: torch.nn.Module, steps: int, loss: Callable[[], torch.Tensor]) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), 6e-3)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, steps)
    for _ in range(steps):
        loss().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        falling.step()


def learned_judge(steps: int = 110, batch: int = 16) -> Judge:
    judge, drawn = Judge(CLASSES, WIDTHS, replace(SETTINGS.reading, heat=0.2)), source()  # it has not learned for long
    chunks = [drawn.draw(batch) for _ in range(24)]
    step = iter(range(10**6))

    def rows(part: int) -> Rows:
        return chunks[next(step) % len(chunks)][part]

    def find() -> torch.Tensor:
        some = rows(0)
        targets = FinderTargets(
            *build(some["boxes"], CELLS), *(some[name] for name in ("background", "colours", "style", "groups"))
        )
        return torch.stack(list(finder_losses(judge.finder(to_unit(some["picture"])), targets).values())).sum()

    def name() -> torch.Tensor:
        some = rows(1)
        labels = Names(*(some[name] for name in ("thing", "colour", "wearing", "holding", "covered")))
        return torch.stack(
            list(namer_losses(judge.namer(crop(some["cut"], random_jitter(len(some["cut"])))), labels, 0.0).values())
        ).sum()

    optimize(judge.finder.train(), steps, find)
    optimize(judge.namer.train(), 2 * steps, name)
    settle(judge.finder, lambda: to_unit(rows(0)["picture"]), 8)
    settle(judge.namer, lambda: crop(rows(1)["cut"]), 8)
    return judge


def test_it_learns_discs_and_squares_and_reads_the_same_after_saving(tmp_path: Path) -> None:
    judge, studio = learned_judge(), StandInStudio()
    scenes = unseen_scenes(StandInSampler(), 64)
    right = {kind: share for kind, (share, _) in measure(judge, studio, scenes).items()}
    assert right["thing"] > 0.7, right
    assert right["colour"] > 0.7, right
    assert right["background"] > 0.9, right
    assert measure(judge, studio, scenes, as_noise)["thing"][0] < 0.5

    save_judge(judge, tmp_path)
    first = load_judge(tmp_path)
    save_judge(first, tmp_path / "again")
    second = load_judge(tmp_path / "again")
    pictures = studio.pictures(scenes[:16]).transpose(0, 3, 1, 2)
    assert first.read(pictures) == second.read(pictures)
    assert first.features(pictures).shape == (16, 32)
    assert abs(first.features(pictures) - judge.features(pictures)).max() < 0.05


def test_the_training_draws_logs_and_resumes(tmp_path: Path) -> None:
    pace = Pace(0.01, 1e-3, 0.03, 0.3)
    finding, naming = replace(SETTINGS.finder, batch=8), replace(SETTINGS.namer, batch=8)
    for resume in (False, True):
        ring = Ring(64, 2.0)
        train_finder(Finder(CLASSES, WIDTHS.finder), finding, ring, source().draw, pace, tmp_path, resume)
        ring = Ring(64, 3.0)
        namer = Namer(CLASSES, WIDTHS.namer, WIDTHS.namer_blocks, WIDTHS.namer_gathered)
        train_namer(namer, naming, ring, source().draw, pace, tmp_path, resume)
    assert (tmp_path / "finder").is_dir()
    assert (tmp_path / "namer").is_dir()
