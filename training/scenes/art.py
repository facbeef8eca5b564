"""Fetch the art and the names into a cache folder; open sprites and CLDR names from there.

    python -m training.scenes.art [--cache FOLDER]

Art: npm `@lobehub/fluent-emoji-3d` (MIT). Names: Debian's `unicode-cldr-core` (Unicode licence).
Neither is copied into this repository.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from PIL import Image

from training.cache import DEFAULT_CACHE

ART_PACKAGE = "@lobehub/fluent-emoji-3d@1.1.0"
NAMES_PACKAGE = "unicode-cldr-core"
SPRITES = Path("art/package/assets")
ANNOTATIONS = Path("cldr/usr/share/unicode/cldr/common/annotations")
SPRITE_PIXELS = 256


def fetch(cache: Path) -> None:
    """Download and unpack both packages into `cache` unless they are there already."""
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / SPRITES).is_dir():
        subprocess.run(["npm", "pack", "--silent", ART_PACKAGE], cwd=cache, check=True)
        (cache / "art").mkdir(exist_ok=True)
        archive = _only(cache, "lobehub-fluent-emoji-3d-*.tgz")
        subprocess.run(["tar", "xzf", archive, "-C", cache / "art"], check=True)
    if not (cache / ANNOTATIONS).is_dir():
        subprocess.run(["apt-get", "download", NAMES_PACKAGE], cwd=cache, check=True)
        archive = _only(cache, f"{NAMES_PACKAGE}_*.deb")
        subprocess.run(["dpkg", "-x", archive, cache / "cldr"], check=True)


def open_sprite(cache: Path, code: str) -> Image.Image:
    """The picture of one code point: RGBA, 256x256; the few of another size are cut to it around their middle."""
    path = cache / SPRITES / f"{code}.webp"
    if not path.is_file():
        raise FileNotFoundError(f"no sprite {path}; run `python -m training.scenes.art` first")
    sprite = Image.open(path).convert("RGBA")
    left, top = (sprite.width - SPRITE_PIXELS) // 2, (sprite.height - SPRITE_PIXELS) // 2
    return sprite.crop((left, top, left + SPRITE_PIXELS, top + SPRITE_PIXELS))


def cldr_names(cache: Path, language: str) -> dict[str, str]:
    """CLDR's short name of each character (`type="tts"`), keyed like the sprites but without `-fe0f`."""
    tree = ElementTree.parse(cache / ANNOTATIONS / f"{language}.xml")
    names = {}
    for row in tree.iter("annotation"):
        if row.get("type") == "tts" and row.text:
            names["-".join(f"{ord(char):x}" for char in row.get("cp", ""))] = row.text.strip().lower()
    return names


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise FileNotFoundError(f"the download left no {pattern} in {folder}")
    return found[-1]


def main() -> None:
    """Fetch, and say where things are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    cache = parser.parse_args().cache
    for tool in ("npm", "tar", "apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise SystemExit(f"this recipe needs `{tool}` on the path")
    fetch(cache)
    print(
        f"{len(list((cache / SPRITES).iterdir()))} sprites and {len(cldr_names(cache, 'zh'))} Chinese names in {cache}"
    )


if __name__ == "__main__":
    main()
