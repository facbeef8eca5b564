"""What was asked of `distil`, and the figures that follow where nothing was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nutshell.compress.examples import Example
from nutshell.errors import UsageError
from nutshell.language import tr

_LARGE = 100_000_000
_RUN_STEPS = 20
_LEAST_DRAWN = 64


@dataclass(frozen=True)
class Wish:
    """examples: captioned pictures; or prompts: the teacher draws `draw` pictures of them (None: one of each, 64 at
    least). few: steps of the new model in place of the teacher's many, 0 for a model that is drawn with as before.
    latent: cells a side that the new model works at; None for the student's own.

    batches, batch: how many are learned from, and pictures in each. rate: the learning rate. The weights of the three
    errors are those of `teaching.losses`. guidance: of the teacher's runs. Each None for what `settle` says.
    """

    examples: Sequence[Example] = ()
    prompts: Sequence[str] = ()
    draw: int | None = None
    few: int = 0
    latent: int | None = None
    batches: int = 2000
    batch: int = 4
    rate: float | None = None
    output_weight: float | None = None
    feature_weight: float | None = None
    data_weight: float | None = None
    guidance: float | None = None
    seed: int = 0
    device: str | None = None
    precision: str | None = None
    threads: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if bool(self.examples) == bool(self.prompts):
            raise UsageError(
                tr("distilling needs pictures to learn from"),
                tr("name a folder of captioned pictures (--examples), or a file of prompts that the teacher draws "
                   "(--prompts), not both"),
            )  # fmt: skip
        if self.batches < 1 or self.batch < 1 or (self.draw is not None and self.draw < 1):
            raise UsageError(tr("--batches, --batch and --draw are 1 at least"))
        if self.few < 0 or (self.rate is not None and self.rate <= 0):
            raise UsageError(tr("--steps and --rate must be above 0"))

    @property
    def captions(self) -> Sequence[str]:
        """The words of every picture, in the order in which they are stored."""
        if self.examples and not self.few:
            return [example.caption for example in self.examples]
        known = self.prompts or [example.caption for example in self.examples]
        count = self.draw or max(len(known), _LEAST_DRAWN)
        return [known[place % len(known)] for place in range(count)]


@dataclass(frozen=True)
class Figures:
    """How to learn, everything settled. snr_cap, noisy_share, pure_noise_share: see `teaching.noise`.

    warmup, decay_from: shares of the training, see `teaching.pace`; ema: the average's decay. whole_from: share from
    which few steps are run one after another. run_steps: of the teacher's runs.
    """

    output_weight: float
    feature_weight: float
    data_weight: float
    learning_rate: float
    guidance: float
    run_steps: int
    noisy_share: float
    pure_noise_share: float
    snr_cap: float = 6.0
    empty_caption: float = 0.1
    warmup: float = 0.02
    decay_from: float = 0.5
    ema: float = 0.999
    whole_from: float = 0.6


def settle(
    wish: Wish, *, parameters: int, native: bool, zero_snr: bool, usual_guidance: float, train_steps: int
) -> Figures:
    """The figures for a student of so many parameters. native: whether the teacher was made for the student's size.

    Raises UsageError for a number of steps that does not divide the timesteps of training.
    """
    usual = (1.0, 0.1, 0.1) if native else (0.0, 0.0, 1.0)
    asked = (wish.output_weight, wish.feature_weight, wish.data_weight)
    output, feature, data = (own if given is None else given for given, own in zip(asked, usual, strict=True))
    if min(output, feature, data) < 0 or output + feature + data == 0:
        raise UsageError(tr("the weights of the errors are 0 or more, one of them above 0"))
    if wish.few and train_steps % wish.few:
        divisors = [count for count in range(1, 21) if train_steps % count == 0]
        raise UsageError(
            tr("{steps} steps do not divide the {train_steps} of training", steps=wish.few, train_steps=train_steps),
            tr("take one of {names}", names=", ".join(map(str, divisors))),
        )
    # Kim et al. 2023 (arXiv:2305.15798) take 5e-5 for Stable Diffusion; a network of a few million parameters learns
    # faster. Few steps are a finer thing: a third, as in the artist's recipe.
    rate = wish.rate or (5e-5 if parameters > _LARGE else 5e-4) / (3 if wish.few else 1)
    return Figures(
        output_weight=output,
        feature_weight=feature,
        data_weight=data,
        learning_rate=rate,
        guidance=usual_guidance if wish.guidance is None else wish.guidance,
        run_steps=_run_steps(wish.few, train_steps),
        noisy_share=0.0,
        # A run begins there, and no other step shows what to do with nothing but noise.
        pure_noise_share=0.1 if zero_snr else 0.0,
    )


def whole_batch(batch: int) -> int:
    """Runs in a batch where all steps are learned from at once, which keeps as much in memory as that many batches."""
    return max(1, batch // 4)


def _run_steps(few: int, train_steps: int) -> int:
    """Steps of the teacher's runs: twenty, or the next number that the few divide and training's timesteps allow."""
    multiples = range(few or 1, train_steps + 1, few or 1)
    return next(count for count in multiples if count >= _RUN_STEPS and train_steps % count == 0)
