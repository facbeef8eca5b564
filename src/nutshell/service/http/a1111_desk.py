"""The jobs that came through this face: where they are, and how they are stopped.

The web UI draws one request at a time, and its clients know no ids: "the progress", "interrupt", "skip" mean what is
drawn now. Here they mean what the same client (address) has asked for through this face; progress falls back to
whatever is drawn now, for clients wait by it until nothing is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from starlette.requests import Request

from nutshell.language import tr
from nutshell.service.http.errors import HttpTrouble, trouble_of_fault
from nutshell.service.http.gone import ClientGone, unless_gone
from nutshell.service.job import Event, Job
from nutshell.service.parts import Parts
from nutshell.service.queue import QueueFull
from nutshell.service.wish import Wish


@dataclass
class Followed:
    """A job of this face and the latest that is known of it.

    begun: whether it is being drawn. skip: go on with the picture after the present one.
    """

    job: Job
    client: str
    step: Event | None = None
    preview: bytes = b""
    begun: bool = False
    skip: bool = False
    interrupted: bool = False

    def take(self, event: Event) -> None:
        """Note what happened."""
        self.begun = event.kind != "queued"
        if event.step:
            self.step = event
        self.preview = event.preview or self.preview


@dataclass
class Desk:
    """All jobs of this face that have not ended."""

    parts: Parts
    followed: dict[str, Followed] = field(default_factory=dict)

    async def draw(self, wish: Wish, client: str, request: Request) -> tuple[int, list[str]]:
        """The seed of the first picture, and the ids of all: fewer than wished after an interrupt or a skip.

        Raises what `Queue.submit` raises, HttpTrouble where the job fails, ClientGone.
        """
        job = await self.parts.queue.submit(wish, client)
        first, behind, pictures = job.wish.seed or 0, 0, list[str]()
        while True:
            followed = Followed(job, client)
            job = await self._through(followed, request)
            pictures += job.pictures
            if job.state == "failed" and job.fault is not None:
                raise HttpTrouble.of(trouble_of_fault(job.fault))
            # The picture that was skipped is left out, its seed with it.
            behind += followed.step.picture if followed.step is not None else 1
            if not followed.skip or behind >= wish.count:
                return first, pictures
            rest = replace(wish, seed=first + behind, count=wish.count - behind)
            try:
                job = await self.parts.queue.submit(rest, client)
            except QueueFull:
                return first, pictures

    async def interrupt(self, client: str) -> None:
        """Stop what this client has drawn now; what it had drawn before is answered."""
        followed = self._drawn_now(client)
        if followed is not None:
            followed.interrupted = True
            await self.parts.queue.cancel(followed.job.id)

    async def skip(self, client: str) -> None:
        """Leave the present picture and go on with the next."""
        followed = self._drawn_now(client)
        if followed is not None:
            followed.skip = True
            await self.parts.queue.cancel(followed.job.id)

    def present(self, client: str) -> Followed | None:
        """What this client has drawn now, else what this face has."""
        return self._drawn_now(client) or self.followed.get(self._running or "")

    def _drawn_now(self, client: str) -> Followed | None:
        own = [followed for followed in self.followed.values() if followed.client == client]
        # Identical requests share a drawing, which the queue knows by the first of them.
        return next((followed for followed in own if followed.begun or followed.job.id == self._running), None)

    @property
    def _running(self) -> str | None:
        return self.parts.queue.running

    async def _through(self, followed: Followed, request: Request) -> Job:
        """Follow a job to its end; cancel it where the client hangs up."""
        id = followed.job.id
        self.followed[id] = followed
        try:
            await unless_gone(request, self._watch(followed))
        except ClientGone:
            await self.parts.queue.cancel(id)
            raise
        finally:
            del self.followed[id]
        job = await self.parts.queue.get(id)
        if job is None or not job.ended:
            raise HttpTrouble(503, tr("the service is stopping"), tr("the picture is drawn when it runs again"))
        return job

    async def _watch(self, followed: Followed) -> None:
        async for event in self.parts.queue.follow(followed.job.id):
            followed.take(event)
