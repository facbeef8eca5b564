"""What the native face answers, described for `/docs`. `native_shapes` makes it; tests hold it to this."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from nutshell.service.http.native_shapes import ErrorContent
from nutshell.service.job import State


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class PictureLinks(_Answer):
    """A picture of a job."""

    id: str
    url: str = Field(description="the PNG; with .jpg or .webp instead of .png another form of it")
    item: str = Field(description="what is known of it")


class JobLinks(_Answer):
    """Where to go on."""

    self: str
    events: str


class JobAnswer(_Answer):
    """A job as it stands. Times are seconds since 1970."""

    id: str
    number: int = Field(description="counts up")
    state: State
    position: int = Field(description="how many jobs are served before it")
    created: float
    started: float | None
    finished: float | None
    attempts: int = Field(description="how often it was begun")
    request: dict[str, Any] = Field(description="what was asked for, with the seed that was chosen")
    pictures: list[PictureLinks]
    error: ErrorContent | None
    notes: list[str] = Field(description="what was changed on the way")
    links: JobLinks


class JobPage(_Answer):
    """Jobs, the newest first."""

    jobs: list[JobAnswer]
    next: int | None = Field(description="`before` of the next page; null on the last")


class ItemLinks(_Answer):
    """Where the picture is."""

    self: str
    picture: str


class ItemAnswer(_Answer):
    """A picture of the gallery."""

    id: str
    number: int = Field(description="counts up")
    job: str = Field(description="the job that drew it; empty where that is not known any more")
    created: float
    bytes: int
    width: int
    height: int
    favourite: bool
    parameters: dict[str, Any] = Field(description="how it was made; enough to draw it again")
    links: ItemLinks


class GalleryPage(_Answer):
    """Pictures, the newest first, and how full the gallery is."""

    items: list[ItemAnswer]
    next: int | None = Field(description="`before` of the next page; null on the last")
    pictures: int
    bytes: int
    limit_bytes: int
    note: str | None


class ParametersAnswer(_Answer):
    """How a picture was made; empty where it does not say."""

    parameters: dict[str, Any]


class ModelAnswer(_Answer):
    """A model, its usual picture, and what to expect of it on this machine."""

    name: str
    title: str
    here: bool
    width: int
    height: int
    steps: int
    guidance: float
    licence: str
    verdict: str | None = Field(description="well, slowly, too large or not yet")
    seconds: float | None = Field(description="for one picture, loading included")
    peak_bytes: int | None
    default: bool
    loaded: bool


class ModelsAnswer(_Answer):
    """The models that are here."""

    default: str
    models: list[ModelAnswer]


class PlanAnswer(_Answer):
    """As `nutshell plan --json` tells it."""

    model: str
    width: int
    height: int
    steps: int
    verdict: str
    plan: dict[str, Any] | None


class MemoryAnswer(_Answer):
    """Main memory."""

    total_bytes: int
    available_bytes: int


class QueueAnswer(_Answer):
    """The queue."""

    waiting: int
    running: str | None = Field(description="the id of the job that is drawn")
    limit: int


class WorkerAnswer(_Answer):
    """What draws."""

    model: str | None = Field(description="the model that is loaded")
    memory_bytes: int
    keep_alive_seconds: float


class LimitsAnswer(_Answer):
    """The most that one job may ask for."""

    prompt_characters: int
    pixels: int
    count: int
    steps: int
    input_bytes: int
    input_pixels: int


class MachineAnswer(_Answer):
    """The machine as it is now."""

    version: str
    cores: int | None
    memory: MemoryAnswer
    temperature_celsius: float | None
    queue: QueueAnswer
    worker: WorkerAnswer
    limits: LimitsAnswer


def described(shape: type[BaseModel], status: int = 200) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a route."""
    return {status: {"model": shape}}
