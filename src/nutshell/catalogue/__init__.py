"""The catalogue: facts about models, one TOML card each."""

from nutshell.catalogue.card import ModelCard
from nutshell.catalogue.shelf import card, cards, own_cards, own_folder, read_card, shipped
from nutshell.catalogue.source import HUBS, Source

__all__ = ["HUBS", "ModelCard", "Source", "card", "cards", "own_cards", "own_folder", "read_card", "shipped"]
