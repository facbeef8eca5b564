"""Scenes: what a picture shows, the picture, and sentences that say so, all from one description."""
