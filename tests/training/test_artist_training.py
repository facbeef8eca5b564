"""The artist's training from scenes to four steps, tiny, on art of our own: no network."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")

import nutshell  # noqa: E402
from tests.training.fake_art import fake_world, write_art  # noqa: E402
from training.artist import latents as latents_module  # noqa: E402
from training.artist import student, subjects, teacher, text, turbo  # noqa: E402
from training.artist.options import Options  # noqa: E402
from training.artist.package import load_artist  # noqa: E402
from training.artist.settings import Recipe, UNetSettings, load_recipe  # noqa: E402
from training.artist.trajectories import load_trajectories  # noqa: E402
from training.scenes.scene import Background, Item, Scene  # noqa: E402


def tiny_recipe() -> Recipe:
    """The recipe for two cores with everything small."""
    recipe = load_recipe("cpu")
    return replace(
        recipe,
        world=replace(recipe.world, things=("cat", "apple", "star")),
        latents=replace(recipe.latents, scenes=8),
        text=replace(
            recipe.text, layers=1, width=32, heads=2, captions=200, max_english_merges=60, batch=8, minutes=0.01
        ),
        teacher=UNetSettings((16, 16, 32, 32), (False, False, True, True), 1, 16, 8),
        teacher_training=replace(recipe.teacher_training, batch=4, minutes=0.02),
        student=UNetSettings((8, 8, 16, 16), (False, False, True, True), 1, 16, 8, "none"),
        student_training=replace(recipe.student_training, batch=4, minutes=0.02, importance_batches=1),
        turbo=replace(recipe.turbo, source_steps=8, runs=4, batch=2, whole_batch=2, whole_from=0.5, minutes=0.02),
    )


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    cache: Path = tmp_path_factory.mktemp("cache")
    write_art(cache, fake_world())
    return Options(tiny_recipe(), cache, None, False)


@pytest.fixture(scope="module")
def trained(options: Options) -> dict[str, Path]:
    """The folders of a teacher, its student and the four-step pupil of that, each trained for a second."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subjects, "load_world", lambda _cache: fake_world())
        patch.setattr(latents_module, "SHARD", 8)
        patch.setattr("training.artist.trajectories.SHARD", 4)
        folder = teacher.learn(options)
        smaller = student.learn(options, folder, options.work / "student")
        pupil = turbo.learn(options, smaller)
        again = teacher.learn(replace(options, resume=True))
        more = replace(options, recipe=replace(options.recipe, name="more"))
        further = teacher.learn(more, smaller)
    torch.set_num_threads(threads)
    assert again == folder
    return {"teacher": folder, "student": smaller, "turbo": pupil, "further": further}


def test_a_model_is_trained_further_in_its_own_shape_and_words(trained: dict[str, Path]) -> None:
    for name in ("tokenizer/vocab.json", "tokenizer/merges.txt"):
        assert (trained["further"] / name).read_bytes() == (trained["student"] / name).read_bytes()
    shapes = [
        {name: tensor.shape for name, tensor in load_artist(trained[which]).unet.state_dict().items()}
        for which in ("further", "student")
    ]
    assert shapes[0] == shapes[1]
    assert not (trained["further"].parent / "text_encoder").exists()


def test_every_recipe_can_be_read_and_asks_for_things_there_are() -> None:
    from training.scenes.facts import load_facts

    whole, small = load_recipe("gpu"), load_recipe("cpu")
    assert whole.world.things == ()
    assert len(set(small.world.things)) == len(small.world.things) >= 140
    assert small.scenes.sides["medium"] == (0.60, 0.64)
    assert whole.scenes.sides["medium"] == (0.42, 0.58)
    assert small.text.layers == whole.text.layers
    assert load_facts()


def test_a_recipe_may_stand_over_another() -> None:
    small, more = load_recipe("cpu"), load_recipe("cpu-more")
    assert more.world == small.world
    assert (small.scenes.kinds["two"], more.scenes.kinds["two"]) == (0.30, 0.50)
    assert more.scenes.sides == small.scenes.sides


def test_a_row_that_nobody_reads_is_named(tmp_path: Path) -> None:
    from training.artist.settings import RECIPES

    (tmp_path / "gpu.toml").write_text((RECIPES / "gpu.toml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "odd.toml").write_text("[teacher]\nchanels = [1]\n", encoding="utf-8")
    with pytest.raises(TypeError, match="chanels"):
        load_recipe("odd", tmp_path)
    (tmp_path / "odd.toml").write_text("[scenes]\nkind = {}\n", encoding="utf-8")
    with pytest.raises(TypeError, match="kind"):
        load_recipe("odd", tmp_path)
    (tmp_path / "odd.toml").write_text("[techer]\nx = 1\n", encoding="utf-8")
    with pytest.raises(TypeError, match="techer"):
        load_recipe("odd", tmp_path)


def test_a_thing_that_is_not_there_is_an_error() -> None:
    assert list(subjects.chosen_world(fake_world(), ("cat", "balloon")).things) == ["cat", "balloon"]
    assert subjects.chosen_world(fake_world(), ("cat",)).holdables == ()
    with pytest.raises(KeyError, match="unicorn"):
        subjects.chosen_world(fake_world(), ("unicorn",))


def test_all_models_are_complete_and_draw_the_same_in_diffusers(trained: dict[str, Path]) -> None:
    for name, steps, guidance in (("teacher", 2, 2.0), ("student", 2, 2.0), ("turbo", 4, 1.0)):
        folder = trained[name]
        assert not any("_name_or_path" in path.read_text() for path in folder.rglob("config.json"))
        pipe = diffusers.StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
        pipe = pipe.to(torch.float32)
        pipe.set_progress_bar_config(disable=True)
        theirs = pipe("a cat", num_inference_steps=steps, guidance_scale=guidance, output_type="np",
                      generator=torch.Generator().manual_seed(3)).images[0]  # fmt: skip
        with nutshell.load(folder, precision="f32") as model:
            ours = model.generate("a cat", steps=steps, guidance=guidance, seed=3, sampler="ddim")
        assert np.abs(theirs * 255 - np.asarray(ours.image, np.float32)).mean() < 0.7


def test_the_pupil_differs_from_its_source_and_shares_its_text_encoder(trained: dict[str, Path]) -> None:
    source, pupil = load_artist(trained["student"]), load_artist(trained["turbo"])
    texts = zip(source.text_encoder.parameters(), pupil.text_encoder.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in texts)
    unets = zip(source.unet.parameters(), pupil.unet.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in unets)


def test_a_smaller_pupil_may_learn_from_the_teacher(
    options: Options, trained: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(subjects, "load_world", lambda _cache: fake_world())
    monkeypatch.setattr(latents_module, "SHARD", 8)
    monkeypatch.setattr("training.artist.trajectories.SHARD", 4)
    elsewhere = replace(options, recipe=replace(options.recipe, name="led"))
    pupil = load_artist(turbo.learn(elsewhere, trained["teacher"], trained["student"]))
    assert pupil.unet.config.block_out_channels == load_artist(trained["student"]).unet.config.block_out_channels
    other = shutil.copytree(trained["student"], tmp_path / "other")
    text_encoder = load_artist(other).text_encoder
    with torch.no_grad():
        next(text_encoder.parameters()).add_(1)
    text_encoder.save_pretrained(other / "text_encoder")
    with pytest.raises(ValueError, match="another text encoder"):
        turbo.learn(elsewhere, trained["teacher"], other)


def test_latents_are_those_of_the_pictures_and_drawn_once(options: Options, trained: dict[str, Path]) -> None:
    from diffusers import AutoencoderTiny

    from training.artist.latents import draw_latents, load_latents
    from training.autoencoder.network import WEIGHTS, encode
    from training.scenes.studio import Studio

    folder = draw_latents(options.recipe, options.cache, "train", 8, "cpu")  # already there: the world is not asked
    latents, scenes = load_latents(folder)
    assert (latents.shape, latents.dtype, len(scenes)) == ((8, 4, 32, 32), torch.float16, 8)
    world = subjects.chosen_world(fake_world(), options.recipe.world.things)
    pictures = Studio(world, options.cache).pictures(scenes[:2]).transpose(0, 3, 1, 2).copy()
    model = AutoencoderTiny.from_pretrained(WEIGHTS)
    expected = encode(model, torch.from_numpy(pictures)) * model.config.scaling_factor
    assert (latents[:2].float() - expected).abs().mean() < 0.03


def test_runs_are_kept_and_start_from_noise(options: Options, trained: dict[str, Path]) -> None:
    folder = next(options.work.glob("trajectories-*"))
    ids, states = load_trajectories(folder)
    assert ids.shape == (4, options.recipe.text.max_length)
    assert states.shape == (4, 5, 4, 32, 32)
    noise = torch.randn(4, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(states[:, 0].float(), noise, atol=2e-3, rtol=2e-3)


def test_a_reader_learns_what_captions_say(options: Options) -> None:
    from training.artist.networks import build_text_encoder, tokenize
    from training.artist.reading import Clerk
    from training.scenes.captions import caption
    from training.scenes.sampler import Sampler

    torch.manual_seed(0)
    world = subjects.chosen_world(fake_world(), ("cat", "apple", "star"))
    sampler, random = Sampler(world, options.recipe.scenes), Random(1)
    tokenizer = text.load_tokenizer(options.cache / "reader", options.recipe, sampler)
    reader = text.Reader(build_text_encoder(options.recipe.text, tokenizer), Clerk(world))
    optimizer, losses = torch.optim.AdamW(reader.parameters(), lr=3e-3), []
    for _ in range(40):
        scenes = [sampler.scene(random) for _ in range(16)]
        words = [caption(scene, world, random) for scene in scenes]
        loss = reader.loss(tokenize(tokenizer, words), *Clerk(world).said(scenes, words).tensors())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_what_is_said_is_written_down() -> None:
    from training.artist.reading import Clerk
    from training.scenes.scene import BACKGROUNDS, COLOURS, RELATIONS

    clerk = Clerk(fake_world())
    cat = Item("cat", 0.3, 0.5, 0.4, wearing=("crown",))
    apple = Item("apple", 0.7, 0.5, 0.2, size="small", colour="blue")
    scene = Scene((apple, cat), Background("plain", ("red",)), "left of", subject=1)
    said = clerk.said([scene, scene], ["a cat with a crown to the left of a small blue apple on red", ""])
    assert said.things[0].nonzero().flatten().tolist() == [clerk.things["cat"], clerk.things["apple"]]
    assert said.scene[0].tolist() == [BACKGROUNDS.index("plain") + 1, RELATIONS.index("left of") + 1, 0, 0]
    assert said.grounds[0].nonzero().flatten().tolist() == [COLOURS.index("red")]
    assert said.item[0, :2].tolist() == [[COLOURS.index("blue") + 1, 1, 2], [0, 2, 1]]
    assert said.worn[0, 1].nonzero().flatten().tolist() == [clerk.worn["crown"]]
    assert said.asked[0].tolist() == [clerk.things["apple"], clerk.things["cat"], -1]
    assert not said.things[1].any()
    assert said.scene[1].tolist() == [0, 0, 0, 0]
