"""The frames by which the service orders a picture and the worker process tells of it.

to the worker:   draw (a number, the wish, its pictures as blobs) | cancel (that number)
to the service:  ready, then for each draw: begun | loading | step | picture | end or fault; log at any time
"""

from __future__ import annotations

from typing import Any

from nutshell.errors import NutshellError
from nutshell.service.sentences import error_from_json, error_to_json
from nutshell.service.wish import Wish
from nutshell.service.worker import Drawn, Loading, Step, Told
from nutshell.service.worker_frames import Frame, FrameError

# The status with which a worker process ends that has met the end of its memory (ENOMEM).
OUT_OF_MEMORY = 12


def draw_frame(number: int, wish: Wish, leaner: bool) -> Frame:
    """An order. number: tells it from those before and after it."""
    pictures = [data for data in (wish.image, wish.mask) if data is not None]
    given = [name for name in ("image", "mask") if getattr(wish, name) is not None]
    header = {"do": "draw", "number": number, "wish": wish.to_json(), "leaner": leaner, "given": given}
    return Frame(header, pictures)


def read_draw(frame: Frame) -> tuple[int, Wish, bool]:
    """The number, the wish and `leaner` of a draw frame."""
    pictures = dict(zip(frame.header["given"], frame.blobs, strict=True))
    wish = Wish.from_json(frame.header["wish"], **pictures)
    return frame.header["number"], wish, frame.header["leaner"]


def cancel_frame(number: int) -> Frame:
    """Takes the order of that number back, and all before it."""
    return Frame({"do": "cancel", "number": number})


def told_frame(told: Told) -> Frame:
    """What a worker tells while it draws."""
    if isinstance(told, Loading):
        return Frame({"tell": "loading", "model": told.model})
    if isinstance(told, Drawn):
        return Frame({"tell": "picture", "picture": told.picture, "parameters": told.parameters}, [told.png])
    header: dict[str, Any] = {
        "tell": "step",
        "step": told.step,
        "total": told.total,
        "picture": told.picture,
        "pictures": told.pictures,
        "seconds_left": told.seconds_left,
    }
    return Frame(header, [told.preview])


def read_told(frame: Frame) -> Told:
    """What `told_frame` made. Raises FrameError."""
    header, blobs = frame.header, frame.blobs
    try:
        if header["tell"] == "loading":
            return Loading(header["model"])
        if header["tell"] == "picture":
            return Drawn(header["picture"], blobs[0], header["parameters"])
        if header["tell"] == "step":
            names = ("step", "total", "picture", "pictures", "seconds_left")
            return Step(**{name: header[name] for name in names}, preview=blobs[0])
    except (KeyError, IndexError) as error:
        raise FrameError(f"a frame without {error}") from error
    raise FrameError(f"a frame that tells {header['tell']!r}")


def fault_frame(error: NutshellError) -> Frame:
    """Why nothing (more) was drawn."""
    return Frame({"tell": "fault", "error": error_to_json(error)})


def read_fault(frame: Frame) -> NutshellError:
    """What `fault_frame` was made of."""
    return error_from_json(frame.header["error"])
