"""`nutshell` alone, as it is seen and typed on a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("pty", reason="pseudo-terminals")

from nutshell.catalogue import cards
from nutshell.catalogue.source import Source
from nutshell.catalogue.write import card_text
from nutshell.settings import DEFAULT_MODEL
from nutshell.store import builtin_folder
from tests.cli.conftest import FAKE, environment
from tests.cli.terminal import BACKSPACE, CTRL_C, CTRL_D, DOWN, ENTER, ESCAPE, UP, Terminal
from tests.cli.test_store import endlessly
from tests.store.hub import Hub, serving

LIST, DRAW = "Which model shall draw?", "What shall I draw?"
Open = Callable[..., Terminal]


@pytest.fixture
def menu(tmp_path: Path) -> Iterator[Open]:
    """Open the menu with the fake model on a terminal, in the folder tmp_path/work."""
    (tmp_path / "work").mkdir()
    opened: list[Terminal] = []

    def start(*words: str, columns: int = 80, rows: int = 24, **changes: str) -> Terminal:
        usual = {"TERM": "xterm-256color", "NUTSHELL_STORE": str(tmp_path / "store"), "NUTSHELL_STICKS": "no"}
        usual |= {"NUTSHELL_OFFLINE": "yes", "NUTSHELL_MAX_MEMORY": "8G", "NO_PROXY": "*"}
        env = environment(**{**usual, **changes})
        opened.append(Terminal([*FAKE, *words], cwd=tmp_path / "work", env=env, columns=columns, rows=rows))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.__exit__(None, None, None)


def drawing(screen: Terminal, *keys: str) -> str:
    """From the list to the question what to draw, with the model that the list recommends."""
    screen.wait("> ★ artist")
    screen.press(*keys, ENTER)
    return screen.wait(DRAW)


def test_somebody_who_knows_nothing_gets_a_picture(menu: Open, work: Path) -> None:
    screen = menu(FAKE_CLOSED="1")
    shown = drawing(screen)
    assert shown.startswith("This machine: ")
    assert f"{DEFAULT_MODEL} draws into the folder {work}" in screen.raw.decode()
    screen.press("一只猫", ENTER)
    screen.wait("nutshell-一只猫-1234.png  64x64", f"{DRAW} for example: a red apple")
    screen.press(UP)
    screen.wait(f"seed 1234\n{DRAW} 一只猫")
    screen.press(ENTER)
    screen.wait("nutshell-一只猫-1234-2.png", "for example: a red apple")
    assert sorted(os.listdir(work)) == ["nutshell-一只猫-1234-2.png", "nutshell-一只猫-1234.png"]
    assert "closed" not in screen.text()  # the model stays open between pictures
    screen.press(ENTER)
    screen.wait("closed", "> ★ artist")
    screen.press(CTRL_D)
    assert screen.end() == 0
    assert screen.is_cooked()


def test_ctrl_c_stops_the_picture_and_not_the_menu(menu: Open, work: Path) -> None:
    screen = menu(FAKE_SECONDS="0.1", NUTSHELL_STEPS="500", FAKE_CLOSED="1")
    drawing(screen)
    screen.press("cat", ENTER)
    screen.wait("drawing |")
    screen.press(CTRL_C)
    screen.wait("nutshell: stopped; nothing is left half written", without=["drawing |"])
    screen.wait("for example: a red apple")
    assert os.listdir(work) == []
    screen.press("dog", ENTER)  # the next one runs, as if nothing had been
    screen.wait("drawing |", "3/500")
    screen.press(CTRL_C)
    screen.wait("for example: a red apple", without=["drawing |"])
    screen.press(CTRL_C)
    assert screen.end() == 130
    assert "closed" in screen.text()
    assert "Traceback" not in screen.raw.decode()
    assert screen.is_cooked()


def test_errors_are_told_and_it_is_asked_again(menu: Open) -> None:
    screen = menu(FAKE_ERROR="memory")
    drawing(screen)
    screen.press("cat", ENTER)
    shown = screen.wait("hint: try 384x384", f"{DRAW} for example")
    assert "nutshell: error: this needs about 3000 MB of memory and only 1000 MB may be used" in shown.replace("\n", "")
    screen.press(ESCAPE)
    screen.wait(LIST)
    screen.press(CTRL_C)
    assert screen.end() == 130
    assert "Traceback" not in screen.raw.decode()


def test_arrows_search_decline_and_fail(menu: Open) -> None:
    screen = menu("--lang", "en")
    screen.wait("> ★ artist")
    screen.press("tiny")
    screen.wait("/ tiny", ">   bk-sdm-tiny", without=["artist"])
    screen.press("xyz")
    screen.wait("/ tinyxyz", "nothing fits")
    screen.press(ENTER, BACKSPACE, BACKSPACE, BACKSPACE, ENTER)
    screen.wait("bk-sdm-tiny is not on this machine yet: 1.1 GB", "Licence: CreativeML-OpenRAIL-M.", "> yes")
    screen.press("n")
    screen.wait(LIST, ">   bk-sdm-tiny")  # the list as it was left
    screen.press(ENTER)
    screen.wait("Fetch bk-sdm-tiny now?")
    screen.press(ENTER)
    shown = screen.wait("nutshell: error: ", "hint: ", LIST, ">   bk-sdm-tiny")
    assert "offline" in shown
    screen.press("doctor")
    screen.wait(">   what is wrong with this machine (doctor)")
    screen.press(ENTER)
    screen.wait(LIST, "> ", without=["/ doctor"])
    assert "rocessor" in screen.above() + screen.text()
    screen.press(ESCAPE, "quit")
    screen.wait(">   quit")
    screen.press(ENTER)
    assert screen.end() == 0


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub with the built-in model under another name, and a card for it."""
    folder = builtin_folder() / "artist"
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (tmp_path / "cards").mkdir()
    facts = {"name": "castles", "title": "Castles", "commercial": False, "files": (), "download_bytes": 31_000_000}
    card = cards()["bk-sdm-tiny"].replace(**facts, sources=(Source("huggingface", "owner/name", "main"),))
    (tmp_path / "cards" / "castles.toml").write_text(card_text(card), encoding="utf-8")
    with serving(Hub(files)) as served:
        yield served


def test_a_model_is_fetched_and_draws(menu: Open, hub: Hub, tmp_path: Path, work: Path) -> None:
    hub.faults = [endlessly] * 30
    where = {"HF_ENDPOINT": hub.url, "NUTSHELL_MS_ENDPOINT": hub.url, "NUTSHELL_CARDS": str(tmp_path / "cards")}
    screen = menu(NUTSHELL_OFFLINE="no", **where)
    screen.wait("> ★ artist")
    screen.press("castles", ENTER)
    screen.wait("castles is not on this machine yet: 31 MB to download.", "not for commercial use.", "> yes")
    screen.press("y")
    screen.wait("castles ", "% |")
    screen.press(CTRL_C)
    screen.wait("what was fetched is kept", LIST, ">   castles", without=["% |"])
    hub.faults.clear()
    screen.press(ENTER)
    screen.wait("Fetch castles now?")
    screen.press("y")
    screen.wait(" fetched", "castles draws into the folder", DRAW)
    screen.press("cat", ENTER)
    screen.wait("nutshell-cat-1234.png", f"{DRAW} for example")
    screen.press(CTRL_D)
    screen.wait(LIST, ">   castles")
    screen.press(CTRL_D)
    assert screen.end() == 0
    assert os.listdir(work) == ["nutshell-cat-1234.png"]


def test_a_narrow_terminal_without_colours_that_grows(menu: Open) -> None:
    screen = menu(columns=40, rows=12, NO_COLOR="1", TERM="linux", LANG="C")
    shown = screen.wait("> * artist", "picture: 256x256")
    assert shown.startswith(LIST)
    assert len(shown.splitlines()) <= 12
    assert "\x1b[3" not in screen.raw.decode()
    for _ in range(20):
        screen.press(DOWN)
    screen.press(UP)
    screen.resize(80, 24)
    os.kill(screen.process.pid, signal.SIGWINCH)
    screen.wait("256x256", "> ", "memory          download")
    screen.press(CTRL_D)
    assert screen.end() == 0


def test_a_signal_at_a_question_leaves_the_terminal_as_it_was(menu: Open) -> None:
    screen = menu()
    drawing(screen)
    os.kill(screen.process.pid, signal.SIGTERM)
    assert screen.end() == 143
    assert "Traceback" not in screen.raw.decode()
    assert screen.is_cooked()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is open")
def test_a_start_through_a_pipe_reads_the_terminal_by_its_name(tmp_path: Path) -> None:
    words = ["/bin/sh", "-c", 'exec "$@" </dev/tty', "sh", *FAKE]
    with Terminal(words, cwd=tmp_path, env=environment(TERM="xterm", NUTSHELL_STICKS="no")) as screen:
        drawing(screen)
        assert os.readlink(f"/proc/{screen.process.pid}/fd/0").startswith("/dev/pts/")
        screen.press("cat", ENTER)
        screen.wait("nutshell-cat-1234.png", "for example")
        screen.press(CTRL_C)
        assert screen.end() == 130


@pytest.mark.parametrize("language", ["zh", "zh_CN.UTF-8"])
def test_other_languages_pass(menu: Open, language: str) -> None:
    words, changes = (("--lang", "zh"), {}) if language == "zh" else ((), {"LANG": language})
    screen = menu(*words, **changes)
    assert "256x256" in screen.wait("> ★ artist")
    screen.press(ENTER)
    screen.wait("/work", without=["★"])
    screen.wait_question()
    screen.press("一只猫", ENTER)
    screen.wait("nutshell-一只猫-1234.png")
    screen.wait_question()
    screen.press(CTRL_D)
    screen.wait("> ★ artist")
    screen.press(CTRL_D)
    assert screen.end() == 0


@pytest.mark.parametrize("elsewhere", ["stdin", "stdout", "stderr", "all", "dumb", "json"])
def test_elsewhere_a_plain_list_and_no_question(tmp_path: Path, elsewhere: str) -> None:
    out = tmp_path / "out"
    changes = {"TERM": "dumb" if elsewhere == "dumb" else "xterm", "NUTSHELL_STICKS": "no"}
    if elsewhere == "json":
        changes["NUTSHELL_JSON"] = "yes"
    with out.open("w") as file:
        usual = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": subprocess.DEVNULL}
        streams = {name: stream for name, stream in usual.items() if elsewhere in (name, "all")}
        with Terminal(FAKE, cwd=tmp_path, env=environment(**changes), columns=160, **streams) as screen:
            assert screen.end() == 0
    said = out.read_text(encoding="utf-8") + screen.above() + screen.text()
    assert "artist" in said
    assert (f'nutshell "a red apple" draws with {DEFAULT_MODEL}.' in said) == (elsewhere != "json")
    assert "Which model" not in said + screen.raw.decode()
