"""Weights on disk: safetensors by memory map, checkpoint layouts, and a scoped view that accounts for all."""

from nutshell.weights.checkpoint import PARTS, Checkpoint, Part, open_checkpoint
from nutshell.weights.component import open_part
from nutshell.weights.embedding import Embedding, load_embedding
from nutshell.weights.hints import PredictionHint
from nutshell.weights.ldm import from_ldm, to_ldm, to_ldm_names
from nutshell.weights.quantized import Quantized
from nutshell.weights.safetensors import Layout, MappedFile, open_safetensors, read_layout
from nutshell.weights.scope import Weights
from nutshell.weights.tensor import STORAGE, Array, Tensor

__all__ = [
    "PARTS",
    "STORAGE",
    "Array",
    "Checkpoint",
    "Embedding",
    "Layout",
    "MappedFile",
    "Part",
    "PredictionHint",
    "Quantized",
    "Tensor",
    "Weights",
    "from_ldm",
    "load_embedding",
    "open_checkpoint",
    "open_part",
    "open_safetensors",
    "read_layout",
    "to_ldm",
    "to_ldm_names",
]
