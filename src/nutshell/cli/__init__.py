"""The command line. `main` finds the command; each command has a file of its own and no logic in it.

main -> generate | inspect | models
report      errors as one line and a hint, exit codes, signals
options     flags from the table of settings
prompts, outputs, progress, pictures      what generate needs
"""
