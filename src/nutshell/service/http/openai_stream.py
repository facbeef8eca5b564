"""The events of a picture that is drawn, as OpenAI's API streams them.

https://platform.openai.com/docs/api-reference/images-streaming
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from nutshell.errors import NutshellError
from nutshell.language import tr
from nutshell.service.http.errors import Trouble, trouble_of, trouble_of_fault
from nutshell.service.http.gone import cancel_all_the_same
from nutshell.service.http.openai_answer import USAGE, in_base64, partial_bytes, picture_bytes
from nutshell.service.http.openai_errors import error_json
from nutshell.service.http.openai_shapes import Output
from nutshell.service.http.sse import HEARTBEAT, frame, with_pauses
from nutshell.service.job import Event, Job
from nutshell.service.parts import Parts


@dataclass(frozen=True)
class Stream:
    """One answer. name: image_generation or image_edit. partials: pictures of the way, for each picture.

    size: in pixels, as far as it is known before a picture is done.
    """

    parts: Parts
    job: Job
    name: str
    output: Output
    partials: int
    size: tuple[int, int] | None

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """Until the job has ended. A client that goes cancels it."""
        gone = True
        told: dict[int, int] = {}
        events = with_pauses(self.parts.queue.follow(self.job.id))
        try:
            async for event in events:
                if event is None:
                    yield HEARTBEAT
                elif event.preview and _due(event, told.get(event.picture, 0), self.partials):
                    index = told.get(event.picture, 0)
                    told[event.picture] = index + 1
                    yield await self._partial(event, index)
                elif event.kind == "picture" and (completed := await self._completed(event.picture_id)):
                    yield completed
                elif event.kind in ("failed", "cancelled"):
                    yield frame({"type": "error", "error": error_json(_why(event))}, "error")
            # Ended by the job, or by the service that stops and takes it up again later.
            gone = False
        except NutshellError as error:
            # The head of the answer has been sent; this is the only place left to say it.
            yield frame({"type": "error", "error": error_json(trouble_of(error))}, "error")
        finally:
            await events.aclose()
            if gone:
                await cancel_all_the_same(self.parts.queue, self.job.id)

    # Whole frames are made in threads: megabytes of base64 take their time, which the event loop has not.
    async def _partial(self, event: Event, index: int) -> bytes:
        def make() -> bytes:
            data = partial_bytes(event.preview, self.size, self.output.form)
            return self._frame("partial_image", data, self.size, partial_image_index=index)

        return await asyncio.to_thread(make)

    async def _completed(self, id: str) -> bytes | None:
        def make() -> bytes | None:
            item = self.parts.gallery.get(id)
            data = picture_bytes(self.parts.gallery, item, self.output) if item is not None else None
            if item is None or data is None:
                return None
            return self._frame("completed", data, (item.width, item.height), usage=USAGE)

        return await asyncio.to_thread(make)

    def _frame(self, kind: str, data: bytes, size: tuple[int, int] | None, **more: Any) -> bytes:
        content = {
            "type": f"{self.name}.{kind}",
            "b64_json": in_base64(data),
            "created_at": int(time.time()),
            "size": f"{size[0]}x{size[1]}" if size else "auto",
            "quality": self.output.quality,
            "background": self.output.background,
            "output_format": self.output.form,
            **more,
        }
        return frame(content, content["type"])


def _due(event: Event, told: int, partials: int) -> bool:
    """Whether the next picture of the way is to be sent: they are spread evenly over the steps, the last left out."""
    return told < partials and event.step >= math.ceil(event.total * (told + 1) / (partials + 1))


def _why(event: Event) -> Trouble:
    if event.fault is not None:
        return trouble_of_fault(event.fault)
    return Trouble(410, "cancelled", tr("the job was cancelled"))
