"""The queue of jobs: what all faces share. All coroutines run on one event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection

from nutshell.errors import NutshellError
from nutshell.language import tr
from nutshell.service.job import Event, Job, State
from nutshell.service.wish import Wish


class QueueFull(NutshellError):
    """More jobs wait than the service takes. retry_after_seconds: when one should be done."""

    def __init__(self, retry_after_seconds: float) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(tr("the queue is full"), tr("try again in {seconds:.0f} seconds", seconds=retry_after_seconds))


class Queue:
    """Takes wishes, has the worker draw them one at a time, keeps what came of them."""

    async def submit(self, wish: Wish, client: str) -> Job:
        """Check and queue a wish. Raises UsageError (with `field`), ModelNotFound, QueueFull."""
        raise NotImplementedError

    async def get(self, id: str) -> Job | None:
        """The job of that id."""
        raise NotImplementedError

    async def page(
        self, *, before: int | None = None, limit: int = 50, states: Collection[State] | None = None
    ) -> list[Job]:
        """Newest first: those numbered less than `before`."""
        raise NotImplementedError

    async def cancel(self, id: str) -> Job | None:
        """Stop a job within one step; pictures that are done stay. A job that has ended stays as it is."""
        raise NotImplementedError

    def follow(self, id: str) -> AsyncIterator[Event]:
        """What happens to a job from now on, its present state first. Ends after done, failed or cancelled."""
        raise NotImplementedError

    async def wait(self, id: str) -> Job:
        """The job once it has ended."""
        raise NotImplementedError

    def position(self, id: str) -> int:
        """How many jobs are served before this one; 0 for the one that runs."""
        raise NotImplementedError

    @property
    def waiting(self) -> int:
        """How many jobs are queued, the one that runs not counted."""
        raise NotImplementedError

    @property
    def running(self) -> str | None:
        """The id of the job that is drawn now."""
        raise NotImplementedError
