"""Cutting a UNet out of a larger one, on tiny ones: what is superfluous by construction goes, and nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")
torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from nutshell.compress.wiring import Wiring, wire  # noqa: E402
from training.artist.importance import magnitude, taylor  # noqa: E402
from training.artist.networks import build_unet  # noqa: E402
from training.artist.prune import cut, prune, select, wiring_of  # noqa: E402
from training.artist.settings import UNetSettings, load_recipe  # noqa: E402

TEXT_WIDTH = 24
LARGE = UNetSettings((32, 64), (False, True), layers_per_block=2, head_size=16, norm_groups=8)
HALF = replace(LARGE, channels=(16, 32))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def unet_of(shape: UNetSettings) -> Any:
    """A UNet for latents of 8x8 whose every tensor, norms and biases too, is random."""
    unet = build_unet(shape, TEXT_WIDTH, latent_size=8).eval()
    with torch.no_grad():
        for parameter in unet.parameters():
            if parameter.dim() == 1:
                parameter += 0.3 * torch.randn_like(parameter)
    return unet


@torch.no_grad()
def outputs(*unets: Any) -> list[torch.Tensor]:
    """What they predict for the same three latents."""
    noisy, condition, steps = torch.randn(3, 4, 8, 8), torch.randn(3, 5, TEXT_WIDTH), torch.tensor([0, 400, 999])
    return [unet(noisy, steps, condition).sample for unet in unets]


def silence(unet: Any, *beginnings: str) -> None:
    """Zero all parameters whose names begin so."""
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if name.startswith(beginnings):
                parameter.zero_()


def test_with_nothing_removed_it_is_the_teacher() -> None:
    teacher = unet_of(LARGE)
    same = prune(teacher, LARGE)
    assert all(torch.equal(tensor, same.state_dict()[name]) for name, tensor in teacher.state_dict().items())


def with_twins(small: Any, wiring: Wiring) -> Any:
    """The network of twice the width that does what `small` does: every channel has a twin that nobody reads.

    A norm cannot tell, for each of its groups holds every value twice. Heads have no twins but idle companions.
    """

    def source(name: str) -> tuple[torch.Tensor, torch.Tensor]:
        places, size = torch.arange(wiring.axes[name].full), wiring.axes[name].size
        return (places % size, places >= size) if name.endswith("heads") else (places // 2, places % 2 == 0)

    large = unet_of(wiring.teacher)
    state = large.state_dict()
    for name, place in wiring.tensors.items():
        tensor = small.state_dict()[name]
        for dimension, axes in enumerate(place.axes):
            start, chosen, read = 0, [], []
            for axis in axes:
                chosen.append(source(axis)[0] + start)
                read.append(source(axis)[1])
                start += wiring.axes[axis].size
            if axes:
                tensor = tensor.index_select(dimension, torch.cat(chosen))
            if axes and dimension == 1:
                tensor = tensor * torch.cat(read).view(1, -1, *[1] * (tensor.dim() - 2))
        state[name] = tensor
    # Of the sinusoids, the small network's are every second one of the large one's.
    time = torch.zeros(4 * LARGE.channels[0], LARGE.channels[0])
    time[:, ::2] = small.time_embedding.linear_1.weight.detach().repeat_interleave(2, 0)
    state["time_embedding.linear_1.weight"] = time
    large.load_state_dict(state)
    return large


def test_twins_are_found_and_taken_out() -> None:
    small, wiring = unet_of(HALF), wire(LARGE, HALF)
    slow = [*range(2, 8), *range(10, 16)]  # so slow that each is nearly the sum of others
    small.time_embedding.linear_1.weight.data[:, slow] = 0
    large = with_twins(small, wiring)
    torch.testing.assert_close(*outputs(small, large), rtol=0, atol=1e-4)
    pruned = prune(large, HALF)
    for name, tensor in small.state_dict().items():
        if name == "time_embedding.linear_1.weight":
            continue  # several sums of sinusoids have the same effect
        torch.testing.assert_close(pruned.state_dict()[name], tensor, rtol=0, atol=1e-3, msg=name)
    torch.testing.assert_close(*outputs(large, pruned), rtol=0, atol=1e-3)


def test_dead_groups_go_whole() -> None:
    """With half the norm groups, groups keep their size and their statistics."""
    shape = UNetSettings((32, 96), (False, False), layers_per_block=1, head_size=16, norm_groups=8, middle="plain")
    half = replace(shape, channels=(16, 48), norm_groups=4)
    teacher = unet_of(shape)
    wiring = wiring_of(teacher, half)
    alive = {name: torch.arange(axis.full) // axis.size == len(name) % 2 for name, axis in wiring.axes.items()}
    state = teacher.state_dict()
    for name, place in wiring.tensors.items():
        if place.axes[0]:
            lives = torch.cat([alive[axis] for axis in place.axes[0]])
            state[name] *= lives.view(-1, *[1] * (state[name].dim() - 1))
    state["time_embedding.linear_1.weight"].zero_()  # its bias is enough here
    kept = select(wiring, magnitude(teacher))
    assert all(torch.equal(kept[name], places.nonzero().flatten()) for name, places in alive.items())
    torch.testing.assert_close(*outputs(teacher, prune(teacher, half)), rtol=0, atol=1e-4)


def test_heads_and_gates_stay_whole() -> None:
    teacher = unet_of(LARGE)
    wiring = wiring_of(teacher, HALF)
    kept = select(wiring, magnitude(teacher))
    heads = [kept[name].view(-1, LARGE.head_size) for name in wiring.axes if name.endswith("heads")]
    assert len(heads) == 2 * (2 + 3 + 1)  # two attentions in each block on the way down, up, and in the middle
    for rows in heads:
        assert (rows[:, 0] % LARGE.head_size == 0).all()
        assert torch.equal(rows - rows[:, :1], torch.arange(LARGE.head_size).expand_as(rows))
    name = "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj.weight"
    assert wiring.tensors[name].axes[0] == ("down_blocks.1.attentions.0.units",) * 2


def idle_layers(unet: Any) -> None:
    """Let the second residual block of each level do nothing, on the way down and on the way up."""
    for number, block in enumerate(unet.down_blocks):
        silence(unet, *(f"down_blocks.{number}.{part}" for part in ("resnets.1.conv2", "attentions.1.proj_out")))
        assert block.resnets[1].conv_shortcut is None
    for number, block in enumerate(unet.up_blocks):
        silence(unet, *(f"up_blocks.{number}.{part}" for part in ("resnets.1.conv2", "attentions.1.proj_out")))
        shortcut = block.resnets[1].conv_shortcut
        torch.nn.init.zeros_(shortcut.bias)
        torch.nn.init.eye_(shortcut.weight.data[:, :, 0, 0])


CASES: dict[str, tuple[UNetSettings, dict[str, Any], Callable[[Any], None]]] = {
    "a level's attention": (
        LARGE, {"attention": (False, False)},
        lambda unet: silence(unet, *(f"{way}.attentions.{n}.proj_out" for way in ("down_blocks.1", "up_blocks.0")
                                     for n in range(3))),
    ),
    "the middle": (
        LARGE, {"middle": "none"},
        lambda unet: silence(unet, "mid_block.resnets.0.conv2", "mid_block.resnets.1.conv2",
                             "mid_block.attentions.0.proj_out"),
    ),
    "the middle's attention": (
        LARGE, {"middle": "plain"},
        lambda unet: silence(unet, "mid_block.resnets.1.conv2", "mid_block.attentions.0.proj_out"),
    ),
    "second layers": (LARGE, {"layers_per_block": 1}, idle_layers),
    "the lowest level": (
        replace(LARGE, channels=(16, 32, 32), attention=(False, True, True)),
        {"channels": (16, 32), "attention": (False, True), "middle": "none"},
        # The student has in its place what the skip connection also brings; the first block above must not read it.
        lambda unet: [unet.up_blocks[1].resnets[0].get_submodule(part).weight.data[:, :32].zero_()
                      for part in ("conv1", "conv_shortcut")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_blocks_that_do_nothing_can_be_removed(case: str) -> None:
    shape, change, make_idle = CASES[case]
    teacher = unet_of(shape)
    make_idle(teacher)
    student = prune(teacher, replace(shape, **change))
    assert sum(p.numel() for p in student.parameters()) < sum(p.numel() for p in teacher.parameters())
    torch.testing.assert_close(*outputs(teacher, student), rtol=0, atol=1e-4)


def varied(shape: UNetSettings) -> Any:
    """A network whose channels matter to different degrees, as a trained one's do: some are read far louder."""
    unet, wiring = unet_of(shape), wire(shape, shape)
    loudness = {name: torch.randn(axis.full).exp() for name, axis in wiring.axes.items()}
    for name, place in wiring.tensors.items():
        if len(place.axes) > 1 and place.axes[1]:
            columns, weight = torch.cat([loudness[axis] for axis in place.axes[1]]), unet.state_dict()[name]
            weight *= columns.view(1, -1, *[1] * (weight.dim() - 2)) / columns.square().mean().sqrt()
    return unet


@pytest.mark.parametrize("criterion", ["magnitude", "taylor"])
def test_what_matters_is_chosen_better_than_by_lot(criterion: str) -> None:
    teacher = varied(LARGE)
    shape = replace(HALF, channels=(24, 48))

    def loss_of() -> torch.Tensor:
        noisy, condition = torch.randn(8, 4, 8, 8), torch.randn(8, 5, TEXT_WIDTH)
        return (teacher(noisy, torch.randint(1000, (8,)), condition).sample - torch.randn(8, 4, 8, 8)).square().mean()

    scores = magnitude(teacher) if criterion == "magnitude" else taylor(teacher, loss_of, batches=8)
    lots = [{name: torch.rand_like(score) for name, score in scores.items()} for _ in range(5)]
    wanted, chosen, *by_lot = outputs(teacher, *(prune(teacher, shape, lot) for lot in (scores, *lots)))
    errors = [float((output - wanted).square().mean()) for output in (chosen, *by_lot)]
    assert errors[0] < 0.5 * sum(errors[1:]) / len(lots)


def test_importance_to_first_order() -> None:
    """The gradient of a linear map is its input: the score is the input's mean square times the weight's."""
    line, inputs = torch.nn.Linear(3, 1, bias=False), torch.randn(4, 3)
    rows = iter(inputs)
    scores = taylor(line, lambda: line(next(rows)).sum(), batches=4)
    torch.testing.assert_close(scores["weight"], inputs.square().mean(0) * line.weight.detach().square())


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_the_recipes_students_are_cut_out_of_their_teachers(name: str) -> None:
    recipe = load_recipe(name)
    with torch.device("meta"):
        empty = build_unet(recipe.teacher, recipe.text.width)
    teacher = empty.to_empty(device="cpu")  # PyTorch's own start takes seconds
    for parameter in teacher.parameters():
        parameter.data.uniform_(-0.05, 0.05)
    wiring = wiring_of(teacher, recipe.student)
    student = cut(teacher, wiring, select(wiring, magnitude(teacher)))
    assert set(wiring.tensors) == set(student.state_dict())
    assert 10e6 < sum(p.numel() for p in student.parameters()) < 25e6
    with torch.no_grad():
        v = student(torch.randn(1, 4, 32, 32), torch.tensor([500]), torch.randn(1, 48, recipe.text.width)).sample
    assert v.shape == (1, 4, 32, 32)
    assert v.isfinite().all()


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"channels": (16, 96)}, r"`channels\[1\]` must be at most 64"),
        ({"channels": (20, 32)}, r"`channels\[0\]` must be a multiple of the 8 norm groups"),
        ({"channels": (16, 40)}, r"`channels\[1\]` must be a multiple of the head size 16"),
        ({"channels": (32, 32)}, r"`channels\[0\]` and `channels\[1\]` must differ"),
        ({"channels": (32, 64), "norm_groups": 4}, r"`channels\[0\]` must be at most 16 with 4 norm groups"),
        ({"channels": (8, 16, 32)}, "equally many levels, at most 2"),
        ({"channels": (16,), "attention": (False,)}, '`middle` must be "none"'),
        ({"attention": (True, True)}, r"`attention\[0\]` must be false"),
        ({"head_size": 32}, "`head_size` must be 16"),
        ({"layers_per_block": 3}, "`layers_per_block` must be 1 to 2"),
        ({"norm_groups": 16}, "`norm_groups` must be 1 to 8"),
        ({"middle": "deep"}, "`middle` must be one of"),
    ],
)  # fmt: skip
def test_a_shape_that_cannot_be_cut_out_is_an_error_that_says_what_to_change(change: Any, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        prune(unet_of(LARGE), replace(HALF, **change))
