"""From prompts to what the denoiser reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nutshell.engines import Session
from nutshell.networks.clip_text import ClipTextConfig, token_vectors
from nutshell.tokens import TokenChunks, Tokenizer, apply_weights, join_chunks, pad_chunks
from nutshell.weights import Weights

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Condition:
    """positive, negative: (1, chunks * length, width), equally long; negative None where unused."""

    positive: F32
    negative: F32 | None

    @property
    def length(self) -> int:
        """In tokens."""
        return int(self.positive.shape[1])


@dataclass(frozen=True)
class Prompts:
    """Tokenized prompt and negative prompt, padded to the same number of chunks."""

    positive: TokenChunks
    negative: TokenChunks | None

    @staticmethod
    def of(tokenizer: Tokenizer, prompt: str, negative_prompt: str, guided: bool) -> Prompts:
        """Without guidance there is no negative side, and none is computed."""
        positive = tokenizer.encode(prompt)
        if not guided:
            return Prompts(positive, None)
        return Prompts(*pad_chunks(positive, tokenizer.encode(negative_prompt)))

    def encode(self, run: Session, weights: Weights, config: ClipTextConfig, extra: F32 | None) -> Condition:
        """Run the text encoder over every chunk. `extra`: vectors of textual inversions."""

        def condition(chunks: TokenChunks) -> F32:
            vectors = token_vectors(weights, config, chunks.ids, extra)
            hidden = np.concatenate([run(vectors=vectors[i : i + 1]) for i in range(len(chunks))])
            return join_chunks(apply_weights(hidden, chunks.weights))

        return Condition(condition(self.positive), None if self.negative is None else condition(self.negative))
