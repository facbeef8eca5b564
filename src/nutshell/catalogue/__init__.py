"""The catalogue: facts about models, one TOML card each."""

from nutshell.catalogue.card import ModelCard, card, cards

__all__ = ["ModelCard", "card", "cards"]
