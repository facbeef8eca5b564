"""The whole way: two models, what is learned from, the loop, and the folder that is written."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nutshell import __version__
from nutshell.compress.distil.method import Distil
from nutshell.compress.distil.need import need_bytes, teacher_needed
from nutshell.compress.distil.pair import Pair, Side, new_card, open_pair
from nutshell.compress.distil.wish import Figures, Wish, settle
from nutshell.compress.job import Written, refuse_existing, write_model
from nutshell.compress.original import Original
from nutshell.errors import EngineUnavailable, NotEnoughMemory, UsageError
from nutshell.files import make_folder, output_error, write_bytes
from nutshell.language import Text, tr
from nutshell.machine import available_bytes
from nutshell.sampling.diffusion import signal_table
from nutshell.store.hashing import sha256_of

OnProgress = Callable[[Text, int, int], None]
PRECISIONS = ("f32", "bf16")
_JOB = "job.json"
_SAVE_SECONDS = 300.0
_BETAS = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "rescale_betas_zero_snr",
          "steps_offset")  # fmt: skip


@dataclass(frozen=True)
class Ears:
    """Who is told: `progress` of what is done, how much of it, of how much; `note` of what to know beforehand."""

    progress: OnProgress = lambda title, done, total: None
    note: Callable[[Text], None] = lambda text: None


def distil(
    student: Original,
    teacher: Original,
    wish: Wish,
    output: Path,
    ears: Ears = Ears(),
    save_seconds: float = _SAVE_SECONDS,
) -> Written:
    """Make `output`: the student, after it learned from the teacher.

    What is learned from and the checkpoints lie beside it, in `.NAME.training`, until it is written; the same call goes
    on there. Raises EngineUnavailable without PyTorch, NotEnoughMemory, UnsupportedModel for models that do not belong
    together, UsageError for wishes that clash or another training in that place, OutputError.
    """
    torch = _torch()
    output = output.absolute()
    refuse_existing(output)
    pair = open_pair(student, teacher, wish.latent, wish.few)
    figures = _figures(pair, wish)
    device, precision = _place(torch, wish)
    _check_memory(torch, device, need_bytes(pair, wish, figures, precision), ears)
    work = output.parent / f".{output.name}.training"
    _claim(work, pair, wish, figures)
    with _threads(torch, wish.threads):
        school = _School(pair, wish, figures, work, device, precision, ears)
        weights, found = school.taught(save_seconds)
    method = Distil(weights, pair.latent, _told(pair, wish, figures, weights), found)
    card = new_card(pair, wish.few)
    source = replace(student, card=card, noise=_noise(pair) if wish.few else None)
    written = write_model(source, method, output, ears.progress)
    shutil.rmtree(work, ignore_errors=True)
    return written


@dataclass(frozen=True)
class _School:
    pair: Pair
    wish: Wish
    figures: Figures
    work: Path
    device: str
    precision: str
    ears: Ears

    def taught(self, save_seconds: float) -> tuple[dict[str, Any], dict[str, Any]]:
        """The student's new weights, float32 arrays by name, and figures for the history."""
        import torch

        from nutshell.compress.distil.data import Studio, make_material
        from nutshell.compress.distil.learn import Told, learn

        diffusion = self.pair.teacher.facts.diffusion
        table = signal_table(diffusion).astype("float32")
        alphas = torch.from_numpy(table).to(self.device)
        studio = Studio(self.pair, self.wish, self.figures, self.work / "data", self.device, self.ears.progress)
        material = make_material(studio, self._teacher, alphas)
        lesson = self._lesson(material, alphas)

        def on_batch(told: Told) -> None:
            self.ears.progress(
                tr("learning: loss {loss:.4f}, {left} left", loss=told.loss, left=_span(told.left_seconds)),
                told.done,
                told.batches,
            )

        learned = learn(
            lesson, self.figures, self.wish.batches, self.work / "checkpoint", self.device, on_batch, save_seconds
        )
        weights = {
            name: value.detach().cpu().numpy()
            for name, value in learned.weights.items()
            if not name.startswith("projection.")
        }
        found = {
            "pictures": len(material.states),
            "batches": self.wish.batches,
            "loss_at_first": float(f"{learned.first_loss:.4g}"),
            "loss_at_last": float(f"{learned.last_loss:.4g}"),
            "teacher_files": ", ".join(
                f"{name} {sha256_of(path)}"
                for name, path in self.pair.teacher.original.files().items()
                if name.startswith("unet/") or "/" not in name
            ),
        }
        return weights, found

    def _lesson(self, material: Any, alphas: Any) -> Any:
        from nutshell.compress.distil.lessons import FromRuns, FromTeacher
        from nutshell.compress.teaching.few_steps import FewSteps

        prediction = self.pair.teacher.facts.diffusion.prediction
        student = self._denoiser(self.pair.student, "float32")
        wish = self.wish
        if wish.few:
            few = FewSteps.of(wish.few, alphas, prediction)
            return FromRuns(student, material, self.figures, few, wish.batch, wish.seed, self.device)
        teacher = self._teacher() if teacher_needed(self.figures) else None
        return FromTeacher(student, teacher, material, self.figures, alphas, prediction, wish.batch, wish.seed)

    def _teacher(self) -> Any:
        return self._denoiser(self.pair.teacher, {"f32": "float32", "bf16": "bfloat16"}[self.precision])

    def _denoiser(self, side: Side, stored: str) -> Any:
        import torch

        from nutshell.compress.distil.networks import Denoiser, parameters_of

        with side.original.checkpoint.open("unet") as part:
            parameters = parameters_of(part.weights, self.device, getattr(torch, stored))
        steps = side.facts.diffusion.train_steps
        return Denoiser(side.facts.unet, parameters, self.device, self.precision, steps)


def _torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise EngineUnavailable(
            tr("distilling needs PyTorch: {error}", error=error), tr('pip install "nutshell[train]"')
        ) from error


def _place(torch: Any, wish: Wish) -> tuple[str, str]:
    """Device and precision; each what was asked for, else the best here."""
    from nutshell.engines.torch_engine import TorchEngine

    device = wish.device or ("cuda" if torch.cuda.is_available() else "cpu")
    known = [name for name in TorchEngine(device).precisions if name in PRECISIONS]
    precision = wish.precision or ("bf16" if device != "cpu" and "bf16" in known else "f32")
    if precision not in known:
        raise UsageError(
            tr("nothing can be learned in {precision} on {device}", precision=precision, device=device),
            tr("use one of {precisions}", precisions=", ".join(known)),
        )
    return device, precision


def _figures(pair: Pair, wish: Wish) -> Figures:
    with pair.student.original.checkpoint.open("unet") as part:
        parameters = sum(tensor.size for tensor in part.weights.tensors())
    facts = pair.teacher.facts
    return settle(
        wish,
        parameters=parameters,
        native=pair.native,
        zero_snr=facts.diffusion.zero_snr,
        usual_guidance=facts.defaults.guidance,
        train_steps=facts.diffusion.train_steps,
    )


def _check_memory(torch: Any, device: str, need: int, ears: Ears) -> None:
    if device.startswith("cuda"):
        free: int | None = torch.cuda.mem_get_info(device)[0]
    else:
        free = available_bytes() if device == "cpu" else None
    room = tr("{free:,.0f} MB are free", free=free / 1e6) if free is not None else tr("what is free is not known")
    ears.note(tr("this takes about {need:,.0f} MB of memory; {room}", need=need / 1e6, room=room))
    if free is not None and need > free:
        raise NotEnoughMemory(need, free, tr("take a smaller --batch, or a smaller student"))


def _claim(work: Path, pair: Pair, wish: Wish, figures: Figures) -> None:
    """Take the working folder. Raises UsageError where another training lies in it."""
    job = _job(pair, wish, figures)
    known = work / _JOB
    try:
        if known.is_file():
            if json.loads(known.read_bytes()) != job:
                raise UsageError(
                    tr("{path} holds what another training has learned so far", path=work),
                    tr("give the same command again to go on with that one, or delete the folder to begin anew"),
                )
            return
    except (OSError, ValueError) as error:
        raise UsageError(
            tr("{path} is damaged: {error}", path=known, error=error), tr("delete that folder to begin anew")
        ) from error
    make_folder(work)
    write_bytes(known, json.dumps(job).encode())


def _job(pair: Pair, wish: Wish, figures: Figures) -> str:
    """A hash of all that decides the weights: both models' files as they lie there, the data, and the wishes."""
    files = []
    paths = [path for side in (pair.student, pair.teacher) for path in side.original.files().values()]
    try:
        for path in [*paths, *(example.picture for example in wish.examples)]:
            status = path.stat()
            files.append([str(path.resolve()), status.st_size, status.st_mtime_ns])
    except OSError as error:
        raise output_error(path, error) from error
    settled = {**asdict(figures), "few": wish.few, "latent": pair.latent, "batches": wish.batches, "batch": wish.batch,
               "seed": wish.seed, "precision": wish.precision, "captions": list(wish.captions)}  # fmt: skip
    content = json.dumps([__version__, files, settled], default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _told(pair: Pair, wish: Wish, figures: Figures, weights: dict[str, Any]) -> dict[str, Any]:
    """What the history says was asked for. The digest makes a job that was broken off while it wrote go on rightly."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(weights[name].tobytes())
    said: dict[str, Any] = {"teacher": pair.teacher.original.name}
    if wish.few:
        said |= {"steps": wish.few, "guidance folded in": figures.guidance}
    elif not pair.native:
        said |= {"latent": pair.latent}
    source = {"captioned pictures": len(wish.examples)} if wish.examples else {"prompts": len(set(wish.prompts))}
    return {**said, **source, "batch": wish.batch, "rate": float(f"{figures.learning_rate:.3g}"),
            "weights": digest.hexdigest()[:12]}  # fmt: skip


def _noise(pair: Pair) -> dict[str, Any]:
    """scheduler_config.json of a model of few steps: the sampler that it learned with."""
    own = pair.student.original.scheduler()
    kept = {key: own[key] for key in _BETAS if own.get(key) is not None}
    return {
        "_class_name": "DDIMScheduler",
        **kept,
        "prediction_type": pair.student.facts.diffusion.prediction,
        "timestep_spacing": "trailing",
        "set_alpha_to_one": False,
        "clip_sample": False,
    }


@contextlib.contextmanager
def _threads(torch: Any, count: int | None) -> Iterator[None]:
    """PyTorch counts threads for the whole process, so the count is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _span(seconds: float) -> str:
    """`2:05:10` or `05:10`"""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"
