"""Everything that a person reads is translated: a language that brackets what it knows shows what was forgotten."""

from __future__ import annotations

import gettext
import json
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from nutshell.catalogue import read_card
from nutshell.cli import bench, doctor_text, models, plan, speech
from nutshell.cli.argparse_words import complaint
from nutshell.cli.compress import METHODS
from nutshell.cli.fetching import Line
from nutshell.cli.main import COMMANDS, main
from nutshell.cli.progress import time_left
from nutshell.cli.report import STOPPED, tell, tell_error
from nutshell.errors import NO_HINT, ModelError
from nutshell.language import Text, tr
from nutshell.machine.examination import Examination
from nutshell.machine.rules.engines import TITLES
from nutshell.pipeline.model_rows import best_first
from nutshell.pipeline.model_rows import known as known_models
from nutshell.pipeline.outlook import Wish
from nutshell.plan import Planner, Rates
from nutshell.store import builtin_folder
from nutshell.store.places import Places
from tests.cli.fake import FakeModel
from tests.cli.pseudo import Bracketed, Wide, untranslated
from tests.cli.test_doctor import ENGINES, FOLDERS, HUBS
from tests.cli.test_inspect import safetensors
from tests.cli.test_plan import HERE
from tests.machines import NAMES, ZOO, recorded
from tests.store.conftest import WEIGHTS, model_files

Nutshell = Callable[..., tuple[int, str]]


@pytest.fixture(scope="session")
def known(repository: Path) -> frozenset[str]:
    """Every sentence of the code."""
    sys.path.insert(0, str(repository))
    try:
        from tools.catalogues import messages
    finally:
        sys.path.remove(str(repository))
    return frozenset(text for text, _ in messages())


@pytest.fixture
def brackets(monkeypatch: pytest.MonkeyPatch, known: frozenset[str]) -> Iterator[None]:
    """What is said here is said in brackets."""
    monkeypatch.setattr(gettext, "translation", lambda *_, **__: Bracketed(known))
    speech.speak("zh")
    yield
    speech.speak("en")


@pytest.fixture
def nutshell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, known: frozenset[str]
) -> Iterator[Nutshell]:
    """Run `nutshell` here, in an empty folder; gives its exit code and all that it told."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name, value in {"STORE": tmp_path / "store", "STICKS": "no", "CARDS": tmp_path / "cards"}.items():
        monkeypatch.setenv(f"NUTSHELL_{name}", str(value))
    monkeypatch.setenv("COLUMNS", "80")
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*words: str, catalogue: type[Bracketed] = Bracketed, real: bool = True) -> tuple[int, str]:
        monkeypatch.setattr(gettext, "translation", lambda *_, **__: catalogue(known))
        code = main([*words, "--lang", "zh"], load=None if real else FakeModel)
        told = capsys.readouterr()
        return code, told.out + told.err

    yield run
    speech.speak("en")
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(nutshell: Nutshell, command: str) -> None:
    code, told = nutshell(*command.split(), "--help")
    assert (code, untranslated(told)) == (0, [])
    assert "«exit codes:»" in told


@pytest.mark.parametrize("method", METHODS)
def test_help_of_each_method_of_compress(nutshell: Nutshell, method: str) -> None:
    code, told = nutshell("compress", method, "--help")
    # Names that are typed as they are.
    assert (code, untranslated(told, [*METHODS, "text_encoder", "unet"])) == (0, [])
    assert "«exit codes:»" in told


@pytest.mark.parametrize("command", ["generate", "list", "export"])
def test_help_fits_where_characters_are_wide(nutshell: Nutshell, command: str) -> None:
    _, told = nutshell(*command.split(), "--help", catalogue=Wide)
    lines = [line for line in told.splitlines() if not line.startswith("  nutshell ")]
    assert max(map(speech.width, lines)) <= 80
    assert lines[1].startswith(" " * speech.width("字字字字字: nutshell "))


def test_drawing(nutshell: Nutshell) -> None:
    code, told = nutshell("cat", "--seed", "1", "--count", "2", "--output", "a.png", real=False)
    assert (code, untranslated(told, ["cat"])) == (0, [])
    assert "«drawing »1« of »2: cat" in told
    assert "a-2.png  64x64  0.2« s  peak »380« MB  seed »2" in told


@pytest.mark.parametrize(("fault", "code"), [("MemoryError", 5), ("bug", 70)])
def test_what_goes_wrong_meanwhile(nutshell: Nutshell, monkeypatch: pytest.MonkeyPatch, fault: str, code: int) -> None:
    monkeypatch.setenv("FAKE_ERROR", fault)
    found, told = nutshell("cat", "--quiet", real=False)
    assert (found, untranslated(told, ["ZeroDivisionError", "a bug"])) == (code, []), told
    assert told.count("«hint: »") == 1


@pytest.mark.usefixtures("brackets")
def test_notes_and_endings(capsys: pytest.CaptureFixture[str]) -> None:
    line = Line(quiet=False)
    line.wait(9, tr("Connection refused"))
    assert capsys.readouterr().err == "nutshell: «Connection refused»«; trying again in »9 s\n"
    for seconds in (5, 200, 9000):
        assert untranslated(speech.words(time_left(seconds))) == []
    tell("stopped", STOPPED, NO_HINT, code=130)
    assert untranslated(capsys.readouterr().err) == []


def test_inspecting(nutshell: Nutshell) -> None:
    Image.new("L", (8, 8)).save("plain.png")
    for tool, key in (("ComfyUI", "workflow"), ("others", "Comment")):
        info = PngImagePlugin.PngInfo()
        info.add_text(key, '{"nodes": []}')
        Image.new("L", (8, 8)).save(f"{tool}.png", pnginfo=info)
    safetensors(Path("lora.safetensors"), {"lora_unet_x.lora_up.weight": (4, 4)}, note="x")
    safetensors(Path("style.safetensors"), {"emb_params": (2, 768)})
    for name, allowed in {
        "plain.png": [],
        "ComfyUI.png": ["nodes"],
        "others.png": ["nodes"],
        # Names of parts, layouts and families stand in the files, and are the same in JSON.
        "lora.safetensors": ["file", "other", "note", "unet", "lora"],
        "style.safetensors": ["file", "embedding", "style", "Stable", "Diffusion"],
        "artist": ["CLIP", "UNet", "diffusers", "unet", "vae", "text_encoder", "Nutshell", "Pipeline", "v_prediction"],
    }.items():
        code, told = nutshell("inspect", name)
        assert (code, untranslated(told, allowed)) == (0, []), told


def test_the_life_of_a_fetched_model(nutshell: Nutshell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, data in model_files().items():
        file = tmp_path / "models" / "castles" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def told(*words: str, code: int = 0) -> str:
        found, text = nutshell(*words)
        assert (found, untranslated(text, ["castles", "small", "text-to-image", "autoencoder"])) == (code, []), text
        return text

    told("list")
    monkeypatch.setenv("NUTSHELL_MODELS", str(tmp_path / "models"))
    assert "is used there" in told("pull", "castles")
    assert "« fetched»" in told("pull", "castles", "--copy")
    monkeypatch.delenv("NUTSHELL_MODELS")
    assert "«all of it was here»" in told("pull", "castles", "--from", str(tmp_path / "models" / "castles"))
    told("list")
    assert "« files ok»" in told("verify")
    told("export", "castles", "models.nut")
    weights = tmp_path / "store" / "models" / "castles" / WEIGHTS
    weights.chmod(0o644)
    weights.write_bytes(b"\1" + weights.read_bytes()[1:])
    assert "«damaged: »" in told("verify", code=3)
    assert "«missing: »" in told("verify", code=3)
    assert "«incomplete: nutshell pull »" in told("list")
    assert "«  removed, »" in told("remove", "castles")
    assert "« copied»" in told("import", "models.nut")
    shutil.copytree(builtin_folder() / "artist", "mine")
    told("add", "mine", "--name", "castles")
    told("add", "mine/vae", "--name", "small")


ERRORS = [
    ("generate",),
    ("inspekt",),
    ("cat", "--stepz", "3"),
    ("cat", "--steps"),
    ("cat", "--steps", "many"),
    ("cat", "--debug=3"),
    ("cat", "--size", "13"),
    ("cat", "--size", "big"),
    ("cat", "--precision", "f33"),
    ("cat", "--precision", "mp3"),
    ("cat", "--max-memory", "much"),
    ("cat", "--hf-endpoint", "x"),
    ("cat", "--guidance-interval", "0.8,0.2"),
    ("cat", "--guidance-rescale", "7"),
    ("cat", "--strength", "2"),
    ("cat", "--count", "0"),
    ("cat", "--seed", "x"),
    ("cat", "--clip-skip", "-1"),
    ("cat", "--sampler", "eular"),
    ("cat", "--schedule", "karas"),
    ("cat", "--spacing", "wide"),
    ("cat", "--engine", "none"),
    ("cat", "--model", "no-such"),
    ("cat", "--model", "bk-sdm-tiny"),
    ("cat", "--model", "model.ckpt"),
    ("cat", "--model", "cut.safetensors"),
    ("cat", "--model", "style.safetensors"),
    ("cat", "--image", "latin.txt"),
    ("cat", "--image", "none.png"),
    ("cat", "--mask", "white.png"),
    ("cat", "--output", "a.gif"),
    ("cat", "--output", "none/a.png"),
    ("cat", "--output", "latin.txt/"),
    ("cat", "--embedding", "none.pt"),
    ("x", "--from-file", "empty.txt"),
    ("--from-file", "empty.txt"),
    ("--from-file", "latin.txt"),
    ("--from-file", "none.txt"),
    ("inspect",),
    ("inspect", "none"),
    ("inspect", "none.png"),
    ("inspect", "model.ckpt"),
    ("inspect", "cut.safetensors"),
    ("inspect", "."),
    ("pull", "artist"),
    ("pull", "bk-sdm-tinny"),
    ("pull", "hf:owner"),
    ("pull", "xx:owner/name"),
    ("pull", "x", "--from", "nowhere"),
    ("pull", "x", "--from", "."),
    ("remove", "x"),
    ("verify", "x"),
    ("add", "none"),
    ("add", "style.safetensors"),
    ("add", "model.ckpt"),
    ("export", "artist"),
    ("export", "models.nut"),
    ("export", "x", "models.nut"),
    ("export", "x", "there.nut"),
    ("import", "none.nut"),
    ("import", "there.nut"),
    ("models", "--models", "none"),
    ("plan", "none"),
    ("plan", "--engine", "none"),
    ("plan", "stable-diffusion-1.5", "--max-memory", "1M"),
    ("doctor", "x"),
]


@pytest.fixture
def files(nutshell: Nutshell) -> None:
    """What is wrong in many ways, in the current folder."""
    contents = {
        "latin.txt": b"ok\ncaf\xe9\n",
        "empty.txt": b"# nothing\n",
        "model.ckpt": b"PK\x03\x04" + bytes(100),
        "cut.safetensors": bytes(20),
        "there.nut": b"no bundle",
    }
    for name, content in contents.items():
        Path(name).write_bytes(content)
    safetensors(Path("style.safetensors"), {"emb_params": (2, 768)})
    Image.new("L", (8, 8)).save("white.png")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("words", ERRORS, ids=" ".join)
def test_errors(nutshell: Nutshell, words: tuple[str, ...]) -> None:
    code, told = nutshell(*words)
    assert "nutshell: «error:» " in told
    assert code not in (0, 70)
    names = [name for word in words for name in (*word.split("/"), word.lstrip("-").replace("-", "_"))]
    assert untranslated(told, [*filter(None, names), "inspect"]) == [], told


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("steps = 'x'", "steps"),
        ("stepz = 3", "stepz"),
        ("qwxyz = 3", "qwxyz"),
        ("steps = ", "TOML"),
        ("size = [1, 2, 3]", "size"),
    ],
)
def test_errors_of_the_settings_file(
    nutshell: Nutshell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, wrong: str
) -> None:
    (tmp_path / "config.toml").write_text(text)
    monkeypatch.setenv("NUTSHELL_CONFIG", str(tmp_path / "config.toml"))
    code, told = nutshell("cat")
    assert code == 2
    # What the parser of TOML says has no end of forms.
    assert untranslated(re.sub("(?<=TOML: »).*", "", told), [wrong, "steps"]) == [], told


@pytest.mark.parametrize(
    "text",
    ["", "title = 3", "licence = 'x'", "width = 7", "guidance = 'much'", "preview = [[1]]", "sources = [{}]", "x = 1"],
)
@pytest.mark.usefixtures("brackets")
def test_errors_of_cards(capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ModelError) as caught:
        read_card(tmp_path / "mine.toml")
    tell_error(caught.value)
    told = capsys.readouterr().err
    assert "«error:»" in told
    assert untranslated(told, ["title", "licence", "width", "guidance", "preview", "sources"]) == [], told


def strings(value: object) -> Iterator[str]:
    """Every plain string in a report, and in its sentences: names of processors, folders, drivers."""
    if isinstance(value, Text):
        yield from strings(value.values)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.items():
            yield from strings(part)
    elif isinstance(value, (tuple, list, frozenset)):
        for part in value:
            yield from strings(part)


@pytest.mark.usefixtures("brackets")
@pytest.mark.parametrize("name", NAMES)
def test_the_doctor(name: str) -> None:
    machine = recorded(name)
    examination = Examination(machine, ENGINES, FOLDERS, HUBS)
    told = "\n".join(doctor_text.lines(examination, machine.unknown, offline=False))
    names = [
        *strings(asdict(examination)),
        *TITLES.values(),
        "Linux",
        "Python",
        "SSE4.2",
        "AVX-VNNI",
        "nvidia-smi",
        *("cuda", "mps", "npu", "was not recorded"),
    ]
    names += [name.upper().replace("_", "-") for name in machine.cpu.features]
    # What other programs say is passed on.
    said = [file.read_text(encoding="utf-8") for file in (ZOO / name / "commands").glob("*")]
    names += ["Driver/library version mismatch", *(line for text in said for line in text.splitlines())]
    assert untranslated(told, filter(None, names)) == [], told


@pytest.mark.usefixtures("brackets")
@pytest.mark.parametrize("name", ["laptop-8gb-intel", "core-2-duo", "gtx-1650-4gb", "celeron-2gb"])
def test_what_a_machine_can_run(name: str) -> None:
    machine = recorded(name)
    planner = Planner.of(machine, HERE, learn=False)
    rows = [*known_models(planner, Places(), Wish())]
    names = [
        *filter(None, strings(asdict(machine))),
        "SSE4.2",
        "AVX2",
        "VNNI",
        "text_encoder",
        "unet",
        "vae_decoder",
        "int8",
        "cuda",
    ]
    told = "\n".join(models.table(best_first(rows), planner))
    assert untranslated(told, names) == [], told
    for row in rows:
        if row.outlook.plan is not None:
            told = "\n".join(plan.lines(row.name, row.outlook, planner))
            assert untranslated(told, names) == [], told


@pytest.mark.usefixtures("brackets")
def test_measuring() -> None:
    rates = Rates({"f32": 1e11}, 1e10, 1e9)
    for kept in (None, Path("/kept")):
        told = "\n".join(bench.lines(rates, "onnx", kept, 3.0))
        assert untranslated(told) == [], told


def test_what_programs_read_is_english(nutshell: Nutshell) -> None:
    code, told = nutshell("cat", "--json", "--size", "13")
    assert (code, "«" in told, json.loads(told)["error"]["hint"]) == (2, False, "the nearest is 16")
    for words in (["inspect", "artist"], ["models"], ["plan"], ["list"]):
        code, told = nutshell(*words, "--json")
        assert (code, "«" in told) == (0, False)


def test_complaints_of_argparse() -> None:
    said = complaint("argument --steps: expected 2 arguments")
    assert (said.template, said.values) == (
        "argument {name}: expected {count} arguments",
        {"name": "--steps", "count": "2"},
    )
    # A Python to come may have others.
    assert isinstance(complaint("never heard of"), Text)
    assert complaint("never heard of") == "never heard of"
