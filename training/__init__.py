"""Recipes that make Nutshell's own small models. PyTorch lives here, never in `src/`."""
