"""The whole recipe: scenes, text encoder, teacher, student, few steps.

    python -m training.artist [--recipe cpu] [--resume]

What is finished is not done again with `--resume`; `--minutes` is of no use here, each part has its own.
"""

from __future__ import annotations

from training.artist import student, teacher, turbo
from training.artist.options import read_options


def main() -> None:
    """One part after the other."""
    options = read_options(__doc__)
    guide = teacher.learn(options)
    pupil = student.learn(options, guide, options.work / "student")
    print(turbo.learn(options, pupil))


if __name__ == "__main__":
    main()
