"""docs/reference/cards.md, made from the rows of `keys`: python -m nutshell.catalogue.reference"""

from __future__ import annotations

import sys

from nutshell.catalogue.card import REQUIRED, ModelCard
from nutshell.catalogue.keys import KEYS

_HEAD = """\
# Model cards

<!-- Made by `python -m nutshell.catalogue.reference > docs/reference/cards.md` from src/nutshell/catalogue/keys.py. -->

A card is a TOML file that says of one model what its own files do not: where it is to be had, under which licence, how
it is best used. The file's name without `.toml` is the model's name. Cards of your own lie in the folder `cards` beside
`config.toml` (the setting `cards` names another one); one with the name of a card that comes with the program takes its
place. A card with a mistake is left out, and the log says why. `nutshell add FILE.safetensors` writes one:

```toml
title = "My castle model"
licence = "CreativeML-OpenRAIL-M"
commercial = true
architecture = "sd1"
path = "/home/me/models/castle.safetensors"
steps = 20
sampler = "dpmpp_2m"
```

A card for a model that is to be fetched names repositories instead of a path:

```toml
[[sources]]
hub = "huggingface"     # or "modelscope"
repo = "owner/name"
revision = "main"       # a branch, a tag or a commit; left out: the hub's usual branch
```

`[parameters]` and `[shapes.unet]`, `[shapes.text_encoder]`, `[shapes.vae]` let a plan be made before anything is
fetched; `""` stands for a `null` of the configuration.

| key | must be | default | meaning |
|---|---|---|---|
"""


def render_reference() -> str:
    """The text of docs/reference/cards.md."""
    default = ModelCard("", "", "")
    rows = []
    for row in KEYS:
        value = getattr(default, row.name)
        shown = "none" if not value or row.name in REQUIRED else f"`{value}`"
        rows.append(f"| `{row.name}` | {row.words} | {shown} | {row.meaning} |\n")
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(render_reference())
