"""How a network learns from another one, in PyTorch: noise, losses, runs of few steps, pace, checkpoints.

Nothing here knows what networks are made of, so `nutshell compress distil` and the built-in models' training (the
folder `training` of the repository) share it. Every module imports torch; nothing else of the program imports them
before they are needed.
"""
