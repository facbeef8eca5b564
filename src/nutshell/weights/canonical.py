"""The one set of tensor names that networks are written against, and how the diffusers layout reaches it.

Canonical names are those diffusers 0.42 and transformers 5 write: `down_blocks.0.resnets.0.conv1.weight`,
`decoder.mid_block.attentions.0.to_q.weight`, `encoder.layers.0.self_attn.q_proj.weight`. Older writers
differ in the details below.
"""

from __future__ import annotations

import re

from nutshell.weights.tensor import Tensor

Tensors = dict[str, Tensor]

# Not weights: an index buffer that transformers stored before 4.31, and a projection that only image search uses.
TEXT_IGNORED = frozenset({"embeddings.position_ids", "text_projection.weight", "text_projection", "logit_scale"})

# Attention of the VAE before diffusers 0.17.
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_OLD_ATTENTION_NAME = re.compile(r"(.*\.attentions\.\d+\.)(query|key|value|proj_attn)\.(weight|bias)")


def canonical(part: str, stored: Tensors) -> Tensors:
    """`stored`, a part of a diffusers folder, under canonical names. Unknown names stay, for the account."""
    if part == "text_encoder":
        return _text_encoder(stored)
    if part == "vae":
        return _vae(stored)
    return stored


def flatten_pointwise(tensor: Tensor) -> Tensor:
    """A 1x1 convolution's weight (out, in, 1, 1) as a linear's (out, in); anything else as it is."""
    rank = len(tensor.shape)
    pointwise = rank in (3, 4) and tensor.shape[2:] == (1,) * (rank - 2)
    return tensor.reshape(*tensor.shape[:2]) if pointwise else tensor


def _text_encoder(stored: Tensors) -> Tensors:
    # transformers 4 writes every name below "text_model.", transformers 5 writes none there.
    renamed: Tensors = {}
    for name, tensor in stored.items():
        ours = name.removeprefix("text_model.")
        if ours not in TEXT_IGNORED:
            renamed[name if ours in renamed else ours] = tensor
    return renamed


def _vae(stored: Tensors) -> Tensors:
    renamed: Tensors = {}
    for name, tensor in stored.items():
        old = _OLD_ATTENTION_NAME.fullmatch(name)
        if old is None:
            renamed[name] = tensor
        else:
            renamed[f"{old[1]}{_OLD_ATTENTION[old[2]]}.{old[3]}"] = flatten_pointwise(tensor)
    return renamed
