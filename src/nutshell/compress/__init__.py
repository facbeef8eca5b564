"""Smaller and faster models, made by running whole ones: so far `calibrate`, which makes the card for eight bits."""

from nutshell.compress.calibrate import calibrate

__all__ = ["calibrate"]
