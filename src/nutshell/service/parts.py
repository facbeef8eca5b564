"""What the faces are given to work with."""

from __future__ import annotations

from dataclasses import dataclass

from nutshell.service.gallery import Gallery
from nutshell.service.models import Models
from nutshell.service.options import ServiceOptions
from nutshell.service.queue import Queue
from nutshell.service.worker import Worker


@dataclass(frozen=True)
class Parts:
    """One service, open. Each face is a function from this to its routes."""

    options: ServiceOptions
    queue: Queue
    gallery: Gallery
    worker: Worker
    models: Models
