"""Noise, targets and sampling of the artist's training against diffusers' own scheduler; layouts of scenes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from nutshell.compress.teaching.ddim import guided, trailing_steps, trajectory  # noqa: E402
from nutshell.compress.teaching.noise import add_noise, draw_steps  # noqa: E402
from tests.training.fake_art import fake_world  # noqa: E402
from training.artist.layout import SIDE, LayoutHead, Mapper, ellipse  # noqa: E402
from training.artist.networks import build_scheduler  # noqa: E402
from training.scenes.scene import BACKGROUNDS, COLOURS, Background, Item, Scene  # noqa: E402

ALPHAS = build_scheduler().alphas_cumprod


def test_noise_and_target_are_those_of_the_scheduler() -> None:
    torch.manual_seed(0)
    latents, noise, steps = torch.randn(5, 4, 8, 8), torch.randn(5, 4, 8, 8), torch.tensor([0, 300, 700, 998, 999])
    noised = add_noise(latents, steps, ALPHAS, noise)
    scheduler = build_scheduler()
    torch.testing.assert_close(noised.noisy, scheduler.add_noise(latents, noise, steps))
    torch.testing.assert_close(noised.target, scheduler.get_velocity(latents, noise, steps))


def test_the_last_step_shows_nothing_of_the_picture() -> None:
    noise = torch.randn(1, 4, 8, 8)
    noised = add_noise(torch.ones(1, 4, 8, 8), torch.tensor([999]), ALPHAS, noise)
    torch.testing.assert_close(noised.noisy, noise)
    torch.testing.assert_close(noised.target, -torch.ones(1, 4, 8, 8))


def test_the_error_is_one_on_the_picture_up_to_its_cap() -> None:
    torch.manual_seed(0)
    latents, steps = torch.randn(1, 4, 8, 8), torch.tensor([700])
    noised = add_noise(latents, steps, ALPHAS)
    predicted = noised.target + 0.1
    alpha = ALPHAS[steps].view(1, 1, 1, 1)
    picture = alpha.sqrt() * noised.noisy - (1 - alpha).sqrt() * predicted
    as_picture = (picture - latents).square().mean() / (1 - alpha.squeeze())
    assert float(noised.error(predicted, cap=1e9)) == pytest.approx(0.01, rel=1e-3)
    assert float(as_picture) == pytest.approx(0.01, rel=1e-3)
    clean = add_noise(latents, torch.tensor([0]), ALPHAS)
    assert float(clean.error(clean.target + 0.1, cap=5.0)) == pytest.approx(0.01 * 5 * float(1 - ALPHAS[0]), rel=1e-3)


def test_steps_are_drawn_by_their_shares() -> None:
    torch.manual_seed(0)
    shares = SimpleNamespace(noisy_share=0.5, pure_noise_share=0.2)
    steps = draw_steps(20_000, shares, 999, torch.device("cpu")).float()
    assert float((steps == 999).float().mean()) == pytest.approx(0.2, abs=0.02)
    assert float((steps >= 799).float().mean()) == pytest.approx(0.2 + 0.3 + 0.5 * 0.2, abs=0.02)


@pytest.mark.reference
@pytest.mark.parametrize("count", [4, 20])
def test_a_run_is_that_of_the_scheduler(count: int) -> None:
    torch.manual_seed(0)
    start = torch.randn(2, 4, 8, 8)

    def predict(latents: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        return torch.tanh(latents) * (steps.view(-1, 1, 1, 1) / 1000)

    ours = trajectory(predict, start, ALPHAS, count, keep_every=count // 4)
    scheduler, latents, kept = build_scheduler(), start, [start]
    scheduler.set_timesteps(count)
    assert scheduler.timesteps.tolist() == trailing_steps(count)
    for number, step in enumerate(scheduler.timesteps):
        latents = scheduler.step(predict(latents, step.repeat(2)), step, latents).prev_sample
        if (number + 1) % (count // 4) == 0:
            kept.append(latents)
    torch.testing.assert_close(ours, torch.stack(kept, dim=1), atol=1e-5, rtol=1e-5)


def test_guidance_moves_away_from_the_empty_caption() -> None:
    def predict(latents: torch.Tensor, _steps: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return latents * 0 + condition.mean(dim=(1, 2)).view(-1, 1, 1, 1)

    told, empty = torch.full((3, 5, 7), 2.0), torch.full((1, 5, 7), 1.0)
    v = guided(predict, told, empty, 2.5)(torch.zeros(3, 4, 8, 8), torch.zeros(3))
    torch.testing.assert_close(v, torch.full((3, 4, 8, 8), 1 + 2.5))


class Boxes:
    """Stands in for a studio: each item's box from its centre and side."""

    def boxes(self, scene: Scene) -> list[tuple[float, float, float, float]]:
        return [(i.x - i.side / 2, i.y - i.side / 2, i.x + i.side / 2, i.y + i.side / 2) for i in scene.items]


def test_a_layout_says_what_lies_where() -> None:
    mapper = Mapper(fake_world())
    cat = Item("cat", 0.25, 0.5, 0.4, wearing=("crown",))
    apple = Item("apple", 0.75, 0.5, 0.4, colour="blue")
    layout = mapper.layout([Scene((cat, apple), Background("sea"))], Boxes())
    assert layout.kind[0, 0, 0] == len(mapper.things) + BACKGROUNDS.index("sea")
    assert (layout.kind[0, 8, 4], layout.kind[0, 8, 12]) == (mapper.things["cat"], mapper.things["apple"])
    assert (layout.colour[0, 8, 4], layout.colour[0, 8, 12]) == (0, COLOURS.index("blue") + 1)
    assert (layout.worn[0, 8, 4], layout.worn[0, 8, 12]) == (mapper.worn["crown"], 0)


def test_an_ellipse_covers_its_share_of_the_cells() -> None:
    inside = ellipse((0.0, 0.0, 1.0, 1.0))
    assert float(inside.float().mean()) == pytest.approx(torch.pi / 4, abs=0.03)
    assert inside.shape == (SIDE, SIDE)
    assert not inside[0, 0]


def test_a_head_learns_a_layout_from_features_that_show_it() -> None:
    torch.manual_seed(0)
    mapper = Mapper(fake_world())
    scenes = [
        Scene((Item(key, 0.5, 0.5, 0.6, wearing=worn),), Background(kind))
        for key, worn, kind in (("cat", ("crown",), "sea"), ("dog", (), "sky"))
    ]
    layout = mapper.layout(scenes, Boxes())
    shown = torch.nn.functional.one_hot(layout.kind.long(), mapper.kinds).permute(0, 3, 1, 2).float()
    head = LayoutHead(mapper.kinds, mapper)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(60):
        loss = head.loss(shown, layout.kind, layout.colour, layout.worn)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.3
