"""A picture from a file that anybody may have made: opened with care, refused with a reason."""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from nutshell.errors import UsageError
from nutshell.language import tr

MOST_PIXELS = 64_000_000  # 256 MB as RGBA; cameras make up to about 60 million
# Not everything that Pillow knows: some of its formats start other programs (EPS starts Ghostscript).
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_FORMATS_HINT = tr("give one of {formats}", formats=", ".join(FORMATS))


def open_picture(path: Path) -> Image.Image:
    """Read a picture whole. Raises UsageError if it is missing, damaged, too large, or no picture."""
    if not path.exists():
        raise UsageError(tr("there is no picture {path}", path=path), tr("check the path"))
    if not path.is_file():
        raise UsageError(tr("{path} is not a file", path=path), _FORMATS_HINT)
    try:
        with warnings.catch_warnings():
            # The limit below is stricter than the one that Pillow warns of.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise UsageError(
                        tr(
                            "{path} is too large: {width}x{height} pixels, at most {most_pixels} million can be read",
                            path=path,
                            width=image.width,
                            height=image.height,
                            most_pixels=MOST_PIXELS // 10**6,
                        ),
                        tr("make it smaller first"),
                    )
                image.load()
                return eight_bits(image.copy())
    except UnidentifiedImageError:
        if path.stat().st_size == 0:
            raise UsageError(tr("{path} is empty", path=path), _FORMATS_HINT) from None
        raise UsageError(tr("{path} is not a picture that can be read", path=path), _FORMATS_HINT) from None
    except Image.DecompressionBombError:
        raise UsageError(tr("{path} is too large to be read safely", path=path), tr("make it smaller first")) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(
            tr("{path} cannot be read: {reason}", path=path, reason=reason),
            tr("open and save it again in another program"),
        ) from error


def eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey as 8-bit; Pillow's own conversion would make nearly all of it white."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in (None, "PNG", "TIFF", "PPM")):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image
