"""Nutshell measured beside its peers: `python -m bench --help`; README.md says what the figures mean."""
