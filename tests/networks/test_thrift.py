"""What a denoiser leaves out, against diffusers' blocks called one by one in PyTorch, on every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nutshell.engines.cost import price
from nutshell.networks import unet
from nutshell.networks.unet import Thrift, denoiser, outer_denoiser
from nutshell.networks.unet_config import UNetConfig
from tests.networks.test_unet import draw, theirs

pytestmark = pytest.mark.reference
LENGTH = 7


class ByHand:
    """diffusers' UNet2DConditionModel, its blocks called layer by layer."""

    def __init__(self, model: Any, inputs: dict[str, np.ndarray]) -> None:
        import torch

        self.model = model
        given = {name: torch.from_numpy(value) for name, value in inputs.items()}
        self.latent, self.condition = given["latent"], given["condition"]
        extra = given.get("guidance")
        self.time = model.time_embedding(model.time_proj(torch.tensor([481])), extra)

    def layer(self, block: Any, index: int, x: Any) -> Any:
        x = block.resnets[index](x, self.time)
        if hasattr(block, "attentions"):
            x = block.attentions[index](x, encoder_hidden_states=self.condition).sample
        return x

    def whole(self, outer: int) -> tuple[Any, Any]:
        """(output, what the last `outer` layers began with)."""
        x = self.model.conv_in(self.latent)
        skips = [x]
        for block in self.model.down_blocks:
            for index in range(len(block.resnets)):
                x = self.layer(block, index, x)
                skips.append(x)
            if block.downsamplers is not None:
                x = block.downsamplers[0](x)
                skips.append(x)
        if self.model.mid_block is not None:
            x = self.model.mid_block(x, self.time, encoder_hidden_states=self.condition)
        deep = None
        for block in self.model.up_blocks:
            for index in range(len(block.resnets)):
                if len(skips) == outer:
                    deep = x
                x = self.up(block, index, x, skips)
            if block.upsamplers is not None:
                x = block.upsamplers[0](x, skips[-1].shape[2:])
        return self.ended(x), deep

    def outer(self, deep: Any, outer: int) -> Any:
        """Only the outermost layers."""
        skips = [self.model.conv_in(self.latent)]
        for index in range(outer - 1):
            skips.append(self.layer(self.model.down_blocks[0], index, skips[-1]))
        block = self.model.up_blocks[-1]
        x = deep
        for index in range(len(block.resnets) - outer, len(block.resnets)):
            x = self.up(block, index, x, skips)
        return self.ended(x)

    def up(self, block: Any, index: int, x: Any, skips: list[Any]) -> Any:
        import torch

        return self.layer(block, index, torch.cat([x, skips.pop()], dim=1))

    def ended(self, x: Any) -> Any:
        return self.model.conv_out(self.model.conv_act(self.model.conv_norm_out(x)))


@pytest.mark.parametrize("name", ["sd1", "bk-sdm-tiny", "unequal-layers", "guidance-distilled"])
def test_reused_features_equal_diffusers_called_layer_by_layer(
    name: str, engine: Any, weights_of: Any, assert_equal_enough: Any
) -> None:
    import torch

    model = theirs(name)
    config, weights = UNetConfig.read(dict(model.config)), weights_of(model)
    for outer in range(1, config.layers[0] + 2):
        first, second = draw(config, 8, 6), draw(config, 8, 6)
        second["latent"] = second["latent"][..., ::-1].copy()
        thrift = Thrift(outer=outer)
        with torch.no_grad():
            noise, deep = ByHand(model, first).whole(outer)
            later = ByHand(model, second).outer(deep, outer)
        session = engine.compile(denoiser(config, 8, 6, LENGTH, thrift=thrift), weights)
        got, kept = session.run(**first)
        np.testing.assert_array_equal(got, session(**first))
        session.close()
        assert_equal_enough(got, noise)
        assert_equal_enough(kept, deep)
        session = engine.compile(outer_denoiser(config, 8, 6, LENGTH, thrift=thrift), weights)
        assert_equal_enough(session(deep=kept, **second), later)
        session.close()


def pooled(normed: Any, height: int, width: int) -> Any:
    import torch.nn.functional as F

    picture = normed.transpose(1, 2).unflatten(2, (height, width))
    cell = (2 if height % 2 == 0 else 1, 2 if width % 2 == 0 else 1)
    return F.avg_pool2d(picture, cell).flatten(2).transpose(1, 2)


def merging(tokens: Any, height: int, width: int, share: float) -> tuple[Any, Any]:
    """(merge, unmerge) of Bolya and Hoffman 2023 with the first token of each cell as target; batch 1, by loops."""
    import torch

    (rows,) = tokens
    unit = rows / rows.norm(dim=-1, keepdim=True)
    targets = [y * width + x for y in range(0, height - 1, 2) for x in range(0, width - 1, 2)]
    near = {
        place: max((float(unit[place] @ unit[target]), target) for target in targets)
        for place in range(len(rows))
        if place not in targets
    }
    gone = sorted(near, key=lambda place: -near[place][0])[: int(share * len(rows))]
    left = [place for place in range(len(rows)) if place not in gone]
    goes_to = {place: near[place][1] if place in gone else place for place in range(len(rows))}

    def merge(x: Any) -> Any:
        means = [x[0, [p for p in range(len(rows)) if goes_to[p] == stays]].mean(0) for stays in left]
        return torch.stack(means)[None]

    def unmerge(y: Any) -> Any:
        return y[:, [left.index(goes_to[place]) for place in range(len(rows))]]

    return merge, unmerge


def thrifty(model: Any, config: UNetConfig, thrift: Thrift, height: int, width: int) -> Any:
    """The model with the self-attention of its finest attended level replaced; put back by undoing the patches."""
    level = config.finest_attention
    blocks = [model.down_blocks[level], model.up_blocks[config.levels - 1 - level]]
    sizes = [height, width]
    for _ in range(level):
        sizes = [-(-side // 2) for side in sizes]
    if level == config.levels - 1:
        blocks.append(model.mid_block)
    for block in blocks:
        for attention in getattr(block, "attentions", ()):
            for layer in attention.transformer_blocks:
                replace_attention(layer, thrift, *sizes)
    return model


def replace_attention(layer: Any, thrift: Thrift, height: int, width: int) -> None:
    before: list[Any] = []
    layer.norm1.register_forward_pre_hook(lambda module, given: before.append(given[0]))
    plain = layer.attn1.forward

    def attend(normed: Any, encoder_hidden_states: Any = None, attention_mask: Any = None) -> Any:
        seen = pooled(normed, height, width) if thrift.fewer_keys else None
        if not thrift.merge:
            return plain(normed, encoder_hidden_states=seen)
        merge, unmerge = merging(before.pop(), height, width, thrift.merge)
        return unmerge(plain(merge(normed), encoder_hidden_states=seen))

    layer.attn1.forward = attend


THRIFTS = {
    "most merged": Thrift(merge=0.75),
    "fewer keys": Thrift(fewer_keys=True),
    "both": Thrift(merge=0.25, fewer_keys=True),
}


@pytest.mark.parametrize("name", ["sd1", "deep-transformers"])
@pytest.mark.parametrize("kind", THRIFTS)
def test_fewer_tokens_equal_diffusers_with_patched_attention(
    name: str, kind: str, engine: Any, weights_of: Any, assert_equal_enough: Any
) -> None:
    import torch

    # Small, so that no two tokens are nearly as like a third one: rounding would choose between them.
    thrift, height, width = THRIFTS[kind], 6, 7
    model = theirs(name)
    config, weights = UNetConfig.read(dict(model.config)), weights_of(model)
    inputs = draw(config, height, width)
    with torch.no_grad():
        given = torch.from_numpy(inputs["latent"]), 481, torch.from_numpy(inputs["condition"])
        plain = model(*given).sample.numpy()
        expected = thrifty(model, config, thrift, height, width)(*given).sample.numpy()
    assert np.abs(plain - expected).max() > 0.01 * plain.std()
    session = engine.compile(denoiser(config, height, width, LENGTH, thrift=thrift), weights)
    assert_equal_enough(session(**inputs), expected)
    session.close()


def test_what_is_left_out_costs_nothing(weights_of: Any) -> None:
    model = theirs("sd1")
    config, weights = UNetConfig.read(dict(model.config)), weights_of(model)
    whole = price(denoiser(config, 32, 32, LENGTH), weights)
    assert price(denoiser(config, 32, 32, LENGTH, thrift=Thrift()), weights) == whole
    for thrift in (Thrift(merge=0.5), Thrift(fewer_keys=True)):
        assert price(denoiser(config, 32, 32, LENGTH, thrift=thrift), weights).operations < 0.95 * whole.operations
    outer = price(outer_denoiser(config, 32, 32, LENGTH, thrift=Thrift(outer=1)), weights)
    assert outer.operations < 0.4 * whole.operations
    assert outer.parameters < 0.4 * whole.parameters
    # The whole network computes no more for handing its feature out.
    assert price(denoiser(config, 32, 32, LENGTH, thrift=Thrift(outer=1)), weights).operations == whole.operations


def test_a_side_of_one_token_is_left_alone(engine: Any, weights_of: Any) -> None:
    model = theirs("deep-transformers")
    config, weights = UNetConfig.read(dict(model.config)), weights_of(model)
    inputs = draw(config, 1, 4)
    plain, merged = (
        engine.compile(denoiser(config, 1, 4, LENGTH, thrift=thrift), weights)
        for thrift in (unet.WHOLE, Thrift(merge=0.5))
    )
    np.testing.assert_array_equal(plain(**inputs), merged(**inputs))
