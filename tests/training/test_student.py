"""The student's training on tiny networks: features, losses, a run from end to end. No art, no network."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from transformers import CLIPTokenizer  # noqa: E402

from nutshell.compress.teaching.noise import add_noise, draw_steps  # noqa: E402
from training.artist.batches import Batch  # noqa: E402
from training.artist.distil import Guide, Student, feature_axes, read, with_features  # noqa: E402
from training.artist.importance import magnitude  # noqa: E402
from training.artist.networks import build_scheduler, build_text_encoder, build_unet, tokenize  # noqa: E402
from training.artist.package import Artist, load_artist  # noqa: E402
from training.artist.prune import cut, select, wiring_of  # noqa: E402
from training.artist.settings import StudentTraining, UNetSettings, load_recipe  # noqa: E402
from training.artist.student import distil, open_teacher  # noqa: E402
from training.artist.vocabulary import write_vocabulary  # noqa: E402
from training.loop import Pace  # noqa: E402

RECIPE = load_recipe("cpu")
LARGE = UNetSettings((16, 32), (False, True), layers_per_block=1, head_size=16, norm_groups=4)
SMALL = replace(LARGE, channels=(8, 16))
WORDS = ["a red disc", "a blue disc"]
ALPHAS = build_scheduler().alphas_cumprod
SETTINGS = replace(RECIPE.student_training, batch=16, importance_batches=4)


class TwoColours:
    """Latents of 8x8 whose left half the caption decides."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        self.tokenizer = tokenizer

    def draw(self, count: int, _empty_share: float) -> Batch:
        numbers = torch.randint(len(WORDS), (count,))
        latents = torch.zeros(count, 4, 8, 8)
        latents[:, :, :, :4] = (2.0 * numbers - 1).view(-1, 1, 1, 1)
        latents += 0.1 * torch.randn_like(latents)
        return Batch(tokenize(self.tokenizer, [WORDS[number] for number in numbers]), latents, numbers)


@pytest.fixture(autouse=True)
def seeded() -> Any:
    """Equal lots in every test; and as many threads afterwards as before, for the loop leaves one."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Artist:
    """A teacher that has learned the two captions a little."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("teacher") / "tokenizer"
    write_vocabulary(WORDS, folder, max_length=8, most_english=10)
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    text = replace(RECIPE.text, layers=1, width=32, heads=2, max_length=8)
    text_encoder = build_text_encoder(text, tokenizer).requires_grad_(False)
    unet, batches = build_unet(LARGE, text.width, latent_size=8), TwoColours(tokenizer)

    def loss() -> torch.Tensor:
        batch = batches.draw(16, 0.0)
        noised = add_noise(batch.latents, draw_steps(16, SETTINGS, 999, batch.latents.device), ALPHAS)
        return noised.error(unet(noised.noisy, noised.steps, read(text_encoder, batch.ids)).sample, SETTINGS.snr_cap)

    losses = take_steps(unet, loss, 60)
    assert losses[-1] < 0.5 * losses[0]
    return Artist(unet.requires_grad_(False), text_encoder, folder)


def take_steps(network: torch.nn.Module, loss_of: Callable[[], torch.Tensor], steps: int) -> list[float]:
    """Plain training; the losses, each the mean of ten steps."""
    optimizer, losses = torch.optim.AdamW(network.parameters(), lr=3e-3), []
    for _ in range(steps):
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return [sum(losses[start : start + 10]) / 10 for start in range(0, steps, 10)]


def batches_of(teacher: Artist) -> TwoColours:
    return TwoColours(CLIPTokenizer.from_pretrained(teacher.tokenizer))


def student_of(teacher: Artist, shape: UNetSettings = SMALL) -> Student:
    wiring = wiring_of(teacher.unet, shape)
    kept = select(wiring, magnitude(teacher.unet))
    return Student(cut(teacher.unet, wiring, kept), wiring, kept)


def inputs(count: int = 2) -> tuple[torch.Tensor, ...]:
    return torch.randn(count, 4, 8, 8), torch.randint(1000, (count,)), torch.randn(count, 8, 32)


@pytest.mark.parametrize("middle", ["attention", "plain", "none"])
def test_features_are_taken_on_the_way_that_diffusers_goes(middle: str) -> None:
    unet, given = build_unet(replace(LARGE, middle=middle, layers_per_block=2), 32, latent_size=8), inputs()
    v, features = with_features(unet, *given)
    assert torch.equal(v, unet(*given).sample)
    shapes = {name: tuple(feature.shape[1:]) for name, feature in features.items()}
    middle_shape = {} if middle == "none" else {"middle": (32, 4, 4)}
    ends = {"down0": (16, 4, 4), "down1": (32, 4, 4), "up1": (32, 8, 8), "up0": (16, 8, 8)}
    assert shapes == ends | middle_shape


def test_threads_may_share_a_teacher(teacher: Artist) -> None:
    guide, batches = Guide(teacher.unet, teacher.text_encoder), [inputs() for _ in range(8)]
    one_by_one = [guide.predict(*batch) for batch in batches]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda batch: guide.predict(*batch), batches))
    for (v, features), (other, others) in zip(one_by_one, together, strict=True):
        torch.testing.assert_close(v, other)
        torch.testing.assert_close(features, others)


def test_a_student_with_nothing_removed_starts_without_error(teacher: Artist) -> None:
    """Only the precision is left: the teacher runs in bfloat16."""
    student, batch = student_of(teacher, LARGE), batches_of(teacher).draw(16, 0.0)
    settings = replace(SETTINGS, output_weight=1.0, feature_weight=1.0, data_weight=0.0)
    loss = student.loss((batch.ids, batch.latents), Guide(teacher.unet, teacher.text_encoder), ALPHAS, settings)
    assert loss.item() < 1e-3


def test_only_features_that_both_have_are_compared(teacher: Artist) -> None:
    assert set(student_of(teacher).projections) == {"down0", "down1", "middle", "up1", "up0"}
    less = replace(SMALL, channels=(8,), attention=(False,), middle="none")
    assert feature_axes(wiring_of(teacher.unet, less)) == {"up0": "up.0"}


def test_distilling_is_quicker_than_learning_anew(teacher: Artist) -> None:
    batches, guide = batches_of(teacher), Guide(teacher.unet, teacher.text_encoder)
    distilled, anew = student_of(teacher), student_of(teacher)
    anew.unet = build_unet(SMALL, 32, latent_size=8)
    data_alone = replace(SETTINGS, output_weight=0.0, feature_weight=0.0, data_weight=1.0)

    def loss_of(student: Student, settings: StudentTraining) -> torch.Tensor:
        batch = batches.draw(16, 0.0)
        return student.loss((batch.ids, batch.latents), guide, ALPHAS, settings)

    losses = take_steps(distilled, lambda: loss_of(distilled, SETTINGS), 30)
    take_steps(anew.unet, lambda: loss_of(anew, data_alone), 30)
    assert losses[-1] < 0.7 * losses[0]
    noisy, steps, _ = inputs(64)
    condition = guide.read(batches.draw(64, 0.0).ids)
    wanted, _ = guide.predict(noisy, steps, condition)
    with torch.no_grad():
        errors = [float((student.unet(noisy, steps, condition).sample - wanted).square().mean())
                  for student in (distilled, anew)]  # fmt: skip
    assert errors[0] < 0.7 * errors[1]


def test_a_run_writes_a_model_and_goes_on_where_it_stopped(teacher: Artist, tmp_path: Path) -> None:
    checkpoint, output = tmp_path / "training", tmp_path / "student"
    pace = Pace(minutes=0.02, learning_rate=2e-3, warmup=0.0, decay_from=0.5, ema=0.9)
    batches: Any = batches_of(teacher)
    made = distil(teacher, SMALL, batches, SETTINGS, pace, checkpoint, False, output)
    again = distil(teacher, SMALL, batches, SETTINGS, pace, checkpoint, True, tmp_path / "again")
    for name, tensor in made.unet.state_dict().items():
        assert torch.equal(tensor, again.unet.state_dict()[name]), name  # the time was spent: nothing is learned anew
    written = load_artist(output)
    assert written.unet.config.block_out_channels == [8, 16]
    torch.testing.assert_close(written.unet.conv_in.weight, made.unet.conv_in.weight, rtol=1e-3, atol=1e-4)
    assert {path.name for path in output.iterdir()} >= {"unet", "text_encoder", "tokenizer", "vae", "scheduler"}


def test_a_missing_teacher_is_named_with_the_way_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"python -m training\.artist\.teacher"):
        open_teacher(tmp_path, torch.device("cpu"))
