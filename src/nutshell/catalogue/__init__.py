"""The catalogue: facts about models, one TOML card each."""

from nutshell.catalogue.card import ModelCard
from nutshell.catalogue.keep import keep_card
from nutshell.catalogue.shelf import card, cards, own_cards, own_folder, read_card, shipped
from nutshell.catalogue.source import HUBS, Source

__all__ = [
    "HUBS",
    "ModelCard",
    "Source",
    "card",
    "cards",
    "keep_card",
    "own_cards",
    "own_folder",
    "read_card",
    "shipped",
]
