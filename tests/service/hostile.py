"""Requests that nobody means well with, made by chance from a seed."""

from __future__ import annotations

import base64
import io
import json
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, PngImagePlugin


@dataclass(frozen=True)
class Hostile:
    """One request. parts: of the body, as they come. host: None for no such header."""

    method: str
    path: str
    query: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    parts: Sequence[bytes] = (b"",)
    client: str = "127.0.0.1"
    host: str | None = "127.0.0.1:8000"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """A PNG of 60 bytes that says it is large, and is not."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + _chunk(b"IEND", b"")
    )


def text_bomb(megabytes: int) -> bytes:
    """A small PNG whose text is large once it is unpacked."""
    text = b"parameters\0\0" + zlib.compress(b"x" * megabytes * 1_000_000)
    whole = picture()
    return whole[:33] + _chunk(b"zTXt", text) + whole[33:]


def picture(size: tuple[int, int] = (16, 16), form: str = "PNG") -> bytes:
    """One that is well."""
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, form)
    return file.getvalue()


def told_picture(parameters: str) -> bytes:
    """One that says how it was made."""
    file, text = io.BytesIO(), PngImagePlugin.PngInfo()
    text.add_itxt("parameters", parameters)
    Image.new("RGB", (16, 16), "red").save(file, "PNG", pnginfo=text)
    return file.getvalue()


def told_jpeg(parameters: str) -> bytes:
    """The same in a JPEG, where it is the EXIF UserComment."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x8769] = {0x9286: b"UNICODE\0" + parameters.encode("utf-16-be")}
    Image.new("RGB", (16, 16), "red").save(file, "JPEG", exif=exif.tobytes())
    return file.getvalue()


FIELDS_TOLD = "Steps: 1e999, CFG scale: NaN, Seed: 9999999999999999999999, Size: 0x0, Clip skip: -1, Sampler: DDIM"
PICTURES = (
    told_picture(f"a plum\n{FIELDS_TOLD}, Version: nutshell 0.1.0"),
    told_picture('a\nSteps: 1, Exact prompt: "\\ud800", Exact negative: "\\u0000", Version: nutshell 0.1.0'),
    told_picture('a\nCFG scale: -Infinity, CFG interval: "nan, inf", Eta: 1e400, Version: nutshell 0.1.0'),
    told_jpeg("a plum\nSteps: 4, Größe: 3, 尺寸尺寸: 4, Seed: x, Version: nutshell 0.1.0"),
    told_jpeg(f"a plum\n{FIELDS_TOLD}, Version: nutshell 0.1.0"),
    b"", b"\0", b"GIF89a", b"%PDF-1.4", picture(), picture(form="JPEG"), picture()[:-20], picture()[:20], bomb(60_000),
    bomb(2**31 - 1), bomb(0), text_bomb(80), b"\x89PNG\r\n\x1a\n" + b"\xff" * 100, b"RIFF\xff\xff\xff\xffWEBPVP8 ",
    b"\xff\xd8\xff\xe0" + b"\0" * 50, b"<svg xmlns='http://www.w3.org/2000/svg'/>", picture((8, 4000)),
)  # fmt: skip
WORDS = (
    "", "a", "an apple", "\x00", "\ud800", "\u202e\u0000\ufeff", "😀" * 50, "x" * 20_000, "%s%n%x", "{0.__class__}",
    "'; DROP TABLE jobs; --", "<script>alert(1)</script>", "../../../etc/passwd", "/etc/passwd", "C:\\Windows\\x.png",
    "file:///etc/passwd", "http://169.254.169.254/",
    "(((((" * 500, "[a:b:0.5]" * 300, "<lora:x:1>", "artist", "dall-e-3",
    "256x256", "0x0", "99999999x99999999", "-1x-1", "auto", "1e999", "NaN", "null", "ddim", "Euler a", "karras", "url",
    "b64_json", "webp", "transparent",
)  # fmt: skip
NUMBERS = (
    0, 1, 2, 3, -1, 7, 8, 64, 65, 100, 151, 256, 4096, 65536, 2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 10**40, 10**400,
    0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
FIELDS = (
    "prompt", "negative_prompt", "model", "width", "height", "steps", "guidance", "seed", "count", "sampler",
    "schedule",
    "precision", "guidance_interval", "int8_attention",
    "spacing", "eta", "strength", "mask_blur", "clip_skip", "image", "mask", "previews", "keep_alive", "n", "size",
    "response_format", "output_format", "output_compression", "quality", "style", "background", "stream", "user",
    "partial_images", "guidance_scale", "cfg_scale", "batch_size", "n_iter", "sampler_name", "scheduler", "init_images",
    "denoising_strength", "inpainting_fill", "resize_mode", "override_settings", "alwayson_scripts", "script_name",
    "enable_hr", "sd_model_checkpoint", "CLIP_stop_at_last_layers", "send_images", "styles", "favourite",
    "__proto__", "constructor", "", "\ud800",
)  # fmt: skip
# What each face takes, with values that are well.
FACES: dict[str, dict[str, tuple[Any, ...]]] = {
    "/api": {
        "prompt": ("an apple",), "model": ("artist", None), "width": (64, None), "height": (64, None), "steps": (1, 2),
        "guidance": (4.5, 1), "seed": (7, None, 2**64 - 1), "count": (1, 2), "sampler": ("ddim", None),
        "strength": (0.5,),
        "image": (base64.b64encode(picture()).decode(),), "mask": (None,), "previews": (True, False), "eta": (None, 1),
    },
    "/v1": {
        "prompt": ("an apple",), "model": ("dall-e-3",), "n": (1, 2), "size": ("64x64", "auto"),
        "stream": (True, False),
        "response_format": ("url", "b64_json"), "output_format": ("jpeg", "webp", "png"), "partial_images": (0, 2),
        "quality": ("standard",), "user": ("me",), "steps": (1,), "seed": (1,), "background": ("auto",),
    },
    "/sdapi": {
        "prompt": ("an apple",), "steps": (1, 2), "width": (64, None), "height": (64,), "batch_size": (1, 2),
        "seed": (-1,),
        "sampler_name": ("DDIM", "Euler a"), "scheduler": ("Karras", None), "cfg_scale": (7,), "send_images": (False,),
        "init_images": ([base64.b64encode(picture()).decode()],), "mask": (base64.b64encode(picture()).decode(),),
        "inpainting_fill": (0, 1), "resize_mode": (0, 1, 2), "override_settings": ({"sd_model_checkpoint": "castles"},),
        "image": (base64.b64encode(picture()).decode(),), "sd_model_checkpoint": ("artist",),
    },
}  # fmt: skip
QUERIES = ("before", "limit", "state", "favourites", "download", "width", "height", "steps", "model", "token", "id")
METHODS = ("GET", "GET", "POST", "POST", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "FROB")
SEGMENTS = (
    "..", ".", "%2e%2e", "%2e%2e%2f", "..%5c", "%00", "%c0%ae", "etc", "passwd", "", "~", "CON", "a" * 300, "job", "1",
    "-1", "x.png", ".png", "😀", "%", "%zz", "{id}", "null", "__init__.py", "index.html",
)  # fmt: skip
HEADERS = (
    ("content-type", "application/json"), ("content-type", "text/plain"), ("content-type", "multipart/form-data"),
    ("content-type", "application/x-www-form-urlencoded"), ("content-type", "\x01/\x02"), ("content-type", "x" * 2000),
    ("content-length", "0"), ("content-length", "-5"), ("content-length", "99999999999999999999"),
    ("content-length", "9" * 5000), ("content-length", "1_000"), ("content-length", "\xb2"),
    ("transfer-encoding", "chunked"), ("content-encoding", "gzip"),
    ("accept-language", "zh;q=0.\x00,*;q=1e999,en;q=nan"),
    ("accept-language", "," * 5000), ("accept", "text/html"), ("authorization", "Basic " + "A" * 3001),
    ("authorization", "Bearer \xff\xfe"), ("authorization", "Basic \xe9"),
    ("cookie", "nutshell_8000=\x01; a=" + "b" * 3000),
    ("origin", "null"), ("origin", "http://[::1"), ("origin", "http://a:b:c"), ("sec-fetch-site", "cross-site"),
    ("sec-fetch-mode", "navigate"), ("range", "bytes=0-0,5-1,-9999999999"), ("if-none-match", '"' * 100),
    ("last-event-id", "-1"), ("last-event-id", "end"), ("x-forwarded-for", "8.8.8.8"), ("upgrade", "websocket"),
    ("expect", "100-continue"), ("connection", "close"), ("host", "attacker.example"), ("x-large", "x" * 40_000),
)  # fmt: skip
HOSTS = (
    "127.0.0.1:8000",
    "127.0.0.1:8000",
    "localhost",
    "",
    "a b",
    "[::1",
    "x" * 5000,
    "127.0.0.1:99999",
    "\xff",
    None,
)


class Requests:
    """An endless row of them. routes: (method, path) of an application, whose `{id}` are filled in."""

    def __init__(self, seed: int, routes: Sequence[tuple[str, str]]) -> None:
        self._chance = random.Random(seed)
        self._routes = routes

    def next(self) -> Hostile:
        """The next."""
        chance = self._chance
        method, path = chance.choice(self._routes)
        if chance.random() < 0.15:
            method = chance.choice(METHODS)
        if chance.random() < 0.2:
            path = self._path(path)
        path = path.replace("{id}", chance.choice((*SEGMENTS, "abc")))
        query = self._query() if chance.random() < 0.3 else ""
        headers = [chance.choice(HEADERS) for _ in range(chance.choice((0, 0, 0, 0, 1, 2)))]
        if chance.random() < 0.01:
            headers += [(f"x-{number}", "1") for number in range(200)]
        kind, body = self._body(path) if method not in ("GET", "HEAD") or chance.random() < 0.1 else ("", b"")
        if kind:
            headers.insert(0, ("content-type", kind))
        host = chance.choice(HOSTS) if chance.random() < 0.1 else "127.0.0.1:8000"
        return Hostile(method, path, query, headers, self._split(body), host=host)

    def value(self, depth: int = 0) -> Any:
        """Anything that JSON can say, and some things that it cannot."""
        chance = self._chance
        kind = chance.randrange(9 if depth < 3 else 5)
        if kind < 2:
            return chance.choice(WORDS)
        if kind == 2:
            return chance.choice(NUMBERS)
        if kind == 3:
            return chance.choice((None, True, False))
        if kind == 4:
            return self._in_base64()
        if kind == 5:
            return [self.value(depth + 1) for _ in range(chance.randrange(4))]
        return {chance.choice(FIELDS): self.value(depth + 1) for _ in range(chance.randrange(4))}

    def _in_base64(self) -> str:
        text = base64.b64encode(self._chance.choice(PICTURES)).decode()
        return self._chance.choice(
            (text, f"data:image/png;base64,{text}", text[:-1], "data:,", text + "=", "\n".join(text))
        )

    def _path(self, path: str) -> str:
        chance = self._chance
        more = "/".join(chance.choice(SEGMENTS) for _ in range(chance.randrange(1, 6)))
        return chance.choice((f"{path}/{more}", f"/{more}", f"//{more}", path.upper(), path + "/", f"/page/{more}"))

    def _query(self) -> str:
        chance = self._chance
        return "&".join(
            f"{chance.choice(QUERIES)}={chance.choice((*SEGMENTS, '1', '-1', '1e9', str(2**70), 'done', '%ff%fe'))}"
            for _ in range(chance.randrange(1, 4))
        )

    def _body(self, path: str) -> tuple[str, bytes]:
        kinds: tuple[Callable[[], tuple[str, bytes]], ...] = (
            *[lambda: self._wish(path)] * 5, self._json, self._broken_json, self._form, self._form, self._noise,
        )  # fmt: skip
        return self._chance.choice(kinds)()

    def _wish(self, path: str) -> tuple[str, bytes]:
        """A good one, or one with a few fields that are not."""
        chance = self._chance
        face = next((fields for prefix, fields in FACES.items() if path.startswith(prefix)), FACES["/api"])
        wish = {name: chance.choice(good) for name, good in face.items() if chance.random() < 0.4}
        wish |= {"prompt": "an apple"} | ({} if "/v1" in path else {"width": 64, "height": 64})
        for _ in range(chance.choice((0, 0, 1, 1, 2))):
            wish[chance.choice((*face, *face, *FIELDS))] = self.value(1)
        return "application/json", json.dumps(wish).encode()

    def _json(self) -> tuple[str, bytes]:
        return "application/json", json.dumps(self.value()).encode()

    def _broken_json(self) -> tuple[str, bytes]:
        whole = self._json()[1]
        broken = (
            whole[: len(whole) // 2], b"[" * 100_000, b'{"a":' * 50_000, whole + whole, b"\xff\xfe" + whole,
            whole.replace(b'"', b"'"), b'{"prompt": "a", "prompt": "b"}', b'{"steps": 1' + b"0" * 5000 + b"}",
            b"\0" * 100,
            b'{"prompt": "\\ud800"}', b'{"prompt": "\xed\xa0\x80"}', b"null", b'"text"', b"",
        )  # fmt: skip
        return "application/json", self._chance.choice(broken)

    def _form(self) -> tuple[str, bytes]:
        chance = self._chance
        parts = b""
        if chance.random() < 0.5:
            parts = b'--edge\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nan apple\r\n' + (
                b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
                + picture()
                + b"\r\n"
            )
        for _ in range(chance.choice((0, 0, 1, 2, 3, 150))):
            name = chance.choice((*FIELDS, "image[]", 'a"; filename="b', "x" * 3000)).encode("utf-8", "replace")
            file = chance.choice(
                (b"", b'; filename="x.png"', b'; filename="../../x"', b"; filename*=UTF-8''%ff", b'; filename="')
            )
            value = chance.choice((*PICTURES, b"1", b"64x64", b"an apple", b"\xff"))
            parts += (
                b'--edge\r\nContent-Disposition: form-data; name="' + name + b'"' + file + b"\r\n\r\n" + value + b"\r\n"
            )
        end = chance.choice((b"--edge--\r\n", b"--edge--\r\n", b"", b"--edg", b"--edge\r\n" * 50))
        kind = chance.choice(
            ("; boundary=edge", "; boundary=edge", "; boundary=edge", "", "; boundary=", "; boundary=" + "e" * 300)
        )
        return "multipart/form-data" + kind, parts + end

    def _noise(self) -> tuple[str, bytes]:
        chance = self._chance
        kind = chance.choice(("application/octet-stream", "image/png", "", "application/json; charset=utf-7"))
        return kind, chance.randbytes(chance.choice((0, 1, 100, 5000)))

    def _split(self, body: bytes) -> Sequence[bytes]:
        if self._chance.random() < 0.7 or len(body) < 2:
            return (body,)
        at = self._chance.randrange(1, len(body))
        return (body[:at], body[at:])
