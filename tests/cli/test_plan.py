"""`nutshell models`, `nutshell plan` and `nutshell bench`, as people and programs see them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from nutshell.catalogue import shipped
from nutshell.cli.models import table
from nutshell.cli.speech import COLUMNS
from nutshell.pipeline.model_rows import best_first
from nutshell.pipeline.outlook import NOT_YET, SLOWLY, TOO_LARGE, WELL, Wish, outlook
from nutshell.plan import Installed, Planner
from tests.cli.conftest import Run
from tests.machines import recorded

HERE = Installed(openvino="2026.4.0", onnx="1.31.0")
HEAVY = ("openvino", "onnxruntime", "torch", "transformers", "diffusers")


def old_laptop(**options: Any) -> Planner:
    return Planner.of(recorded("laptop-8gb-intel"), HERE, learn=False, **options)


def test_the_list_is_for_people(nutshell: Run) -> None:
    done = nutshell("models", real=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("This machine: ")
    assert all(len(line) <= COLUMNS for line in lines)
    head = next(line for line in lines if line.startswith("model "))
    place = head.index("verdict")
    for name in ("artist", "stable-diffusion-1.5", "sdxl"):
        row = next(line for line in lines if line.startswith(f"{name} "))
        assert row[place - 1] == " " != row[place]
    assert "not runnable yet" in done.stdout
    assert "taesd" not in done.stdout


def test_the_list_is_for_programs(nutshell: Run) -> None:
    rows = [json.loads(line) for line in nutshell("models", "--json", real=True).stdout.splitlines()]
    by_name = {row["name"]: row for row in rows}
    assert by_name.keys() == {card.name for card in shipped().values() if card.kind == "text-to-image"}
    assert by_name["artist"]["installed"]
    assert by_name["artist"]["seconds"] > 0
    assert by_name["sdxl"]["why"]
    assert by_name["sdxl"]["seconds"] is None


def test_the_plan_explains_itself(nutshell: Run) -> None:
    done = nutshell("plan", "stable-diffusion-1.5", "--size", "256", "--steps", "5", real=True)
    if done.returncode == 5:
        pytest.skip("this machine has no memory to plan with")
    assert done.returncode == 0, done.stderr
    for word in ("256x256", "5 steps", "engine", "precision", "stays loaded", "threads", "Why", "Not taken"):
        assert word in done.stdout
    assert all(len(line) <= COLUMNS for line in done.stdout.splitlines())
    told = json.loads(nutshell("plan", "artist", "--json", real=True).stdout)
    assert told["model"] == "artist"
    assert told["plan"]["need_bytes"] > 0
    assert all(item["why"] for item in told["plan"]["rejected"])


def test_a_plan_that_cannot_be_is_an_error_with_the_figure(nutshell: Run) -> None:
    done = nutshell("plan", "stable-diffusion-1.5", "--max-memory", "300M", real=True)
    assert done.returncode == 5
    assert "only 300 MB may be used" in done.stderr
    assert "hint:" in done.stderr
    done = nutshell("plan", "sdxl", real=True)
    assert done.returncode == 3
    assert "second text encoder" in done.stderr
    assert nutshell("plan", "no-such-model", real=True).returncode == 3


def test_a_ceiling_holds_for_drawing_too(nutshell: Run) -> None:
    done = nutshell("a cat", "--max-memory", "100M", "--steps", "1", real=True)
    assert done.returncode == 5
    assert "--max-memory" in done.stderr


@pytest.mark.parametrize("command", ["models", "plan"])
def test_no_engine_is_imported(command: str, nutshell: Run) -> None:
    code = (
        "import sys; from nutshell.cli.main import main; code = main(); "
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    import subprocess

    from tests.cli.conftest import environment

    done = subprocess.run(
        [sys.executable, "-c", code, command], capture_output=True, encoding="utf-8", env=environment(), timeout=60
    )
    assert done.stderr.strip() == "[]"


def test_verdicts_of_an_old_laptop() -> None:
    cards = shipped()
    planner = old_laptop()
    artist = outlook(cards["artist"], planner, None) if "unet" in cards["artist"].shapes else None
    assert artist is None or artist.verdict == WELL
    slow = outlook(cards["stable-diffusion-1.5"], planner, None, Wish(steps=50))
    assert slow.verdict in (SLOWLY, TOO_LARGE)
    assert outlook(cards["sdxl"], planner, None).verdict == NOT_YET
    quick = outlook(cards["bk-sdm-tiny"], planner, None, Wish((256, 256), 2))
    assert quick.verdict == WELL


def test_what_does_not_fit_says_what_would_do() -> None:
    card = shipped()["lcm-dreamshaper-7"]
    small = outlook(card, old_laptop(max_memory=10**8), None, Wish((384, 384)))
    assert small.need_bytes is not None
    tight = old_laptop(max_memory=small.need_bytes)
    assert outlook(card, tight, None, Wish((384, 384))).verdict != TOO_LARGE
    large = outlook(card, tight, None)
    assert large.verdict == TOO_LARGE
    assert "--size" in large.fix
    assert "may be used" in large.why
    hopeless = outlook(card, old_laptop(max_memory=10**8), None)
    assert (hopeless.verdict, hopeless.fix) == (TOO_LARGE, "")
    assert hopeless.need_bytes


def test_best_first_and_no_wider_than_a_terminal() -> None:
    from nutshell.pipeline.model_rows import known
    from nutshell.store.places import Places

    planner = old_laptop()
    rows = best_first(list(known(planner, Places(), Wish())))
    ranks = [(WELL, SLOWLY, TOO_LARGE, NOT_YET).index(row.outlook.verdict) for row in rows]
    assert ranks == sorted(ranks)
    assert all(len(line) <= COLUMNS for line in table(rows, planner))


def test_the_measurement_is_kept(nutshell: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short, in this process: the arithmetic itself is measured by `nutshell bench --quick`."""
    from nutshell.cli import bench
    from nutshell.pipeline import quick_bench
    from nutshell.plan import Rates

    (tmp_path / "config.toml").write_text("")
    monkeypatch.setenv("NUTSHELL_CONFIG", str(tmp_path / "config.toml"))
    rates = Rates({"f32": 1e11}, 1e10, 1e9, guessed=False)
    monkeypatch.setattr(quick_bench, "measure_rates", lambda *_: rates)
    assert bench.main(["--quick", "--json"]) == 0
    kept = json.loads((tmp_path / "state" / "rates.json").read_text())
    assert [row["operations_per_second"] for row in kept.values()] == [{"f32": 1e11}]
    told = json.loads(
        nutshell("plan", "--json", real=True, env={"NUTSHELL_CONFIG": str(tmp_path / "config.toml")}).stdout
    )
    assert told["plan"]["guessed"] is False
