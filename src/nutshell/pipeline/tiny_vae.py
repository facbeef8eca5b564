"""Which autoencoder draws: the model's own, another one, or the tiny one that suits its latents.

A tiny autoencoder (TAESD, an AutoencoderTiny distilled from the full one) takes a twentieth of the time and loses
some of the finest detail.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from nutshell.catalogue import ModelCard, cards
from nutshell.errors import ModelNotFound
from nutshell.language import Text, tr
from nutshell.pipeline.draw import Kit
from nutshell.pipeline.facts import read_vae
from nutshell.store import Found, find, installed
from nutshell.store.places import Places
from nutshell.weights import Part, open_part

_LOG = logging.getLogger(__name__)

FULL, TINY = "full", "tiny"


def choose_vae(
    wish: str | Path | Found | None, card: ModelCard | None, places: Places | None = None, *, fast: bool = False
) -> Found | None:
    """The autoencoder to use in place of the model's own; None for that one.

    wish: "full" for the model's own, "tiny" for the one that its card names, else what `find` knows; None: its own,
    or with `fast` the tiny one where it is here. Raises ModelNotFound.
    """
    if wish == FULL:
        return None
    if wish is None:
        found = tiny_vae(card, places) if fast else None
        if fast and found is None and card is not None and card.vae:
            _LOG.warning(tr("the last step would be quicker with {name}: nutshell pull {name}", name=card.vae))
        return found
    if wish != TINY:
        return find(wish, places)
    if card is not None and card.vae:
        return find(card.vae, places)
    try:
        # A model of the user's may be called so.
        return find(wish, places)
    except ModelNotFound:
        raise ModelNotFound(
            tr("no tiny autoencoder is known for this model"), tr("name one: --vae NAME, or leave it out")
        ) from None


def tiny_vae(card: ModelCard | None, places: Places | None = None) -> Found | None:
    """The tiny autoencoder that a model's card names, if it is here."""
    tiny = cards().get(card.vae) if card is not None and card.vae else None
    if tiny is None or not installed(tiny, places or Places.usual()):
        return None
    return find(tiny.name, places)


class TinyWay:
    """A model with a tiny autoencoder in place of its own, for pictures that would not fit otherwise.

    Nothing is opened before it is needed. Its stages are apart from the model's, so that a picture that fits is drawn
    by the model's own autoencoder before and after.
    """

    def __init__(self, kit: Kit, parts: Mapping[str, Part], tiny: Found) -> None:
        self._full = kit
        self._parts = parts
        self._tiny = tiny

    @property
    def notice(self) -> Text:
        """What the user should know of it."""
        name = self._tiny.card.name if self._tiny.card is not None else self._tiny.path.name
        return tr("memory is short: {name} decodes, which loses some fine detail (--vae full forbids it)", name=name)

    @cached_property
    def _part(self) -> Part:
        return open_part(self._tiny.path, "vae")

    @cached_property
    def parts(self) -> Mapping[str, Part]:
        """By `Network.part`."""
        return {**self._parts, "vae_decoder": self._part, "vae_encoder": self._part}

    @cached_property
    def kit(self) -> Kit:
        """What it draws with."""
        facts = replace(self._full.facts, vae=read_vae(self._part))
        return replace(self._full, facts=facts, stages=self._full.stages.over(self.parts))

    def rest(self) -> None:
        """Free its stages."""
        if "kit" in self.__dict__:
            self.kit.stages.close()

    def close(self) -> None:
        """Free everything; the other parts are the model's."""
        self.rest()
        if "_part" in self.__dict__:
            self._part.close()
