"""The reports of doctor, models and plan where characters are two cells wide: nothing runs over, columns stay."""

from __future__ import annotations

import pytest

from nutshell.catalogue import shipped
from nutshell.cli import doctor_text, models, plan, speech
from nutshell.cli.speech import COLUMNS, width
from nutshell.language import Translation
from nutshell.machine.examination import Examination
from nutshell.pipeline.model_rows import Row, best_first
from nutshell.pipeline.outlook import outlook
from nutshell.plan import Planner
from tests.cli.pseudo import Wide
from tests.cli.test_doctor import ENGINES, FOLDERS, HUBS
from tests.cli.test_plan import HERE
from tests.language.brackets import spoken_by
from tests.machines import NAMES, recorded


@pytest.fixture(scope="module")
def spoken() -> Translation:
    return spoken_by(Wide)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch, spoken: Translation) -> None:
    """What is said here is said in wide characters."""
    monkeypatch.setattr(speech, "_spoken", lambda: spoken)


@pytest.mark.parametrize("name", NAMES)
def test_the_doctor(name: str) -> None:
    machine = recorded(name)
    told = list(doctor_text.lines(Examination(machine, ENGINES, FOLDERS, HUBS), machine.unknown, offline=False))
    assert max(map(width, told)) <= COLUMNS
    # Sentences and not only their first words: what has no blanks is broken all the same.
    assert max(map(width, told)) > COLUMNS - 10


@pytest.mark.parametrize("name", ["laptop-8gb-intel", "gtx-1650-4gb", "celeron-2gb"])
def test_models_and_plans(name: str) -> None:
    planner = Planner.of(recorded(name), HERE, learn=False)
    rows = [
        Row(card.name, card.title, card.licence, card.commercial, True, "1.0 GB", None, outlook(card, planner, None))
        for card in shipped().values()
        if card.kind == "text-to-image"
    ]
    told = list(models.table(best_first(rows), planner))
    head = next(number for number, line in enumerate(told) if line == "") + 1
    end = told.index("", head)
    figures = [line for line in told[head:end] if not line.startswith(models.INDENT)]
    # The last column begins in the same cell everywhere.
    assert len({width(line[: line.rindex("  ")]) for line in figures}) == 1
    # No language makes words of the table as long as this one does.
    assert max(width(line) for line in told if line not in figures) <= COLUMNS
    for row in rows:
        if row.outlook.plan is not None:
            lines = list(plan.lines(row.name, row.outlook, planner))
            assert max(map(width, lines)) <= COLUMNS
