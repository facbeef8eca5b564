"""The recipe of `artist`: 256x256 emoji-like pictures from a sentence, trained on a CPU in an hour.

Read in the order of the data: `objects.toml` -> `art` -> `scenes` -> `captions` ->
`autoencoder` -> `vocabulary` -> `text` -> `denoiser` -> `sheet`.
"""
