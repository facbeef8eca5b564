"""start.sh with a small program in place of nutshell, offline: everything comes from a folder of wheels."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="a POSIX shell script"),
    pytest.mark.skipif(shutil.which("python3") is None, reason="no python3 on the path"),
]
MAIN = (
    "import os, sys\ndef main():\n    print('ran', *sys.argv[1:], sep='|')\n    return 3 if 'fail' in sys.argv else 0\n"
)


def make_wheel(folder: Path, name: str = "nutshell", extra: dict[str, bytes] | None = None) -> None:
    """A wheel by hand: a zip file with a module, a command and three lines of metadata, and `extra` files."""
    folder.mkdir()
    info = f"{name}-0.1.dist-info"
    files: dict[str, str | bytes] = {
        **(extra or {}),
        "small_nutshell.py": MAIN,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = small_nutshell:main\n",
    }
    with zipfile.ZipFile(folder / f"{name}-0.1-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD")))


@pytest.fixture(scope="session")
def quick_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a python3 that saves unpacking pip, some seconds, in each environment: it lends them its own."""
    place = tmp_path_factory.mktemp("quick")
    real = os.path.realpath(sys.executable)
    subprocess.run([real, "-m", "venv", place / "lender"], check=True)
    lent = next((place / "lender" / "lib").glob("python3*")) / "site-packages"
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    python = place / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(f"""#!/bin/sh
case "$1 $2" in
    "-m venv")
        "{real}" -m venv --without-pip "$3" && echo "{lent}" >"$3/lib/{version}/site-packages/lent.pth" ;;
    *ensurepip*)
        echo "cp{sys.version_info[0]}{sys.version_info[1]} {python}" ;;
    *)
        exec "{real}" "$@" ;;
esac
""")
    python.chmod(0o755)
    return python.parent


@pytest.fixture
def folder(tmp_path: Path, quick_python: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the program's folder, in a place with a difficult name."""
    monkeypatch.setenv("PATH", f"{quick_python}:{os.environ['PATH']}")
    folder = tmp_path / "my 图画 'folder'"
    folder.mkdir()
    shutil.copy(REPOSITORY / "start.sh", folder)
    (folder / "pyproject.toml").write_text("[project]\nname = 'nutshell'\n")
    (folder / "requirements.lock").write_text("# nothing\n")
    make_wheel(folder / "wheels")
    return folder


def start(
    folder: Path, *words: str, path: str | None = None, terminal: int | None = None, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run start.sh from another folder, with a home of its own."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    env = {"PATH": path or os.environ["PATH"], "HOME": str(home), "LANG": "C", "PIP_CONFIG_FILE": os.devnull, **changes}
    return subprocess.run(
        ["/bin/sh", str(folder / "start.sh"), *words],
        env=env,
        cwd=home,
        stdin=terminal if terminal is not None else subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


def test_first_and_later_starts(folder: Path) -> None:
    first = start(folder, "a red apple", "--seed", "7")
    assert (first.returncode, first.stdout, first.stderr) == (0, "ran|a red apple|--seed|7\n", "")
    python = (folder / ".venv" / "bin" / "python").lstat().st_ctime_ns
    again = start(folder, "一只猫 $HOME", "")
    assert (again.returncode, again.stdout, again.stderr) == (0, "ran|一只猫 $HOME|\n", "")
    assert (folder / ".venv" / "bin" / "python").lstat().st_ctime_ns == python
    assert start(folder, "fail").returncode == 3
    assert start(folder).stdout == "ran\n"
    assert not (folder / ".venv.log").exists()

    # A new version, a broken attempt and a moved folder are each prepared anew.
    (folder / "pyproject.toml").write_text("[project]\nname = 'nutshell'\nversion = '2'\n")
    assert start(folder, "x").stdout == "ran|x\n"
    assert (folder / ".venv" / "bin" / "python").lstat().st_ctime_ns != python
    (folder / ".venv" / ".ready").unlink()
    (folder / ".venv" / "bin" / "python").unlink()
    assert start(folder, "x").stdout == "ran|x\n"
    moved = folder.rename(folder.with_name("elsewhere"))
    assert start(moved, "x").stdout == "ran|x\n"

    # A link to it works from anywhere.
    (moved.parent / "link").symlink_to(moved / "start.sh")
    linked = subprocess.run([moved.parent / "link", "--yes", "x"], capture_output=True, text=True, timeout=60)
    assert linked.stdout == "ran|x\n"


def test_two_first_starts_at_once(folder: Path) -> None:
    words = ["/bin/sh", str(folder / "start.sh"), "x"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.communicate(timeout=120) == ("ran|x\n", "")


def test_a_start_broken_off_is_begun_again(folder: Path) -> None:
    process = subprocess.Popen(["/bin/sh", str(folder / "start.sh"), "x"], start_new_session=True)
    while not (folder / ".venv").exists() and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    assert (folder / ".venv.lock").exists()
    assert start(folder, "x").stdout == "ran|x\n"


def test_a_failed_install_says_why(folder: Path) -> None:
    (folder / "requirements.lock").write_text("no-such-package==1 --hash=sha256:" + "0" * 64 + "\n")
    done = start(folder, "x")
    assert done.returncode == 1
    assert "nutshell: error: the packages could not be installed" in done.stderr
    assert "there is no package for this system" in done.stderr
    assert not (folder / ".venv").exists()
    (folder / "requirements.lock").write_text("")
    assert start(folder, "x").stdout == "ran|x\n"


def tools(folder: Path, **scripts: str) -> str:
    """A PATH with the usual commands and no Python, and `scripts` in front of them."""
    place = folder.parent / "tools"
    place.mkdir(exist_ok=True)
    usual = ("sh", "cat", "cksum", "readlink", "dirname", "ln", "rm", "mkdir", "df", "awk")
    usual += ("sleep", "kill", "id", "tail", "grep", "uname", "ls", "printf", "sed", "mv", "chmod")
    for name in usual:
        real = shutil.which(name)
        if real and not (place / name).exists():
            (place / name).symlink_to(real)
    for name, text in scripts.items():
        path = place / name.replace("_", "-")
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    return str(place)


COMMANDS = {
    "apt_get": "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q"
    " python3 python3-venv ca-certificates",
    **{
        tool: f"{tool} install -y python3.12 || {tool} install -y python3.11 || {tool} install -y python3"
        for tool in ("dnf", "microdnf", "yum")
    },
    "apk": "apk add python3",
    "pacman": "pacman -S --noconfirm --needed python || pacman -Sy --noconfirm --needed python",
    "zypper": "zypper --non-interactive install python313 || zypper --non-interactive install python312"
    " || zypper --non-interactive install python311",
}


def test_without_python_and_root_it_says_what_to_run(folder: Path) -> None:
    for manager, command in COMMANDS.items():
        path = tools(folder, id="echo 1000", **{manager: "exit 9"})
        done = start(folder, "--yes", "x", path=path)
        assert done.returncode == 1
        assert "nutshell: error: Python 3.10 or newer with its module venv is needed" in done.stderr
        assert f"then start again:  sudo sh -c '{command}'\n" in done.stderr
        shutil.rmtree(folder.parent / "tools")
    done = start(folder, "x", path=tools(folder, id="echo 1000"))
    assert "python.org" in done.stderr


def test_with_root_it_asks_first(folder: Path) -> None:
    real = sys.executable
    script = f'echo "$*" >>"$HOME/asked"; printf \'#!/bin/sh\\nexec "{real}" "$@"\\n\' >"{{place}}/python3"'
    script = script.format(place=folder.parent / "tools") + f'; /bin/chmod +x "{folder.parent}/tools/python3"'
    path = tools(folder, id="echo 0", apt_get=script)
    not_asked = start(folder, "x", path=path)
    assert not_asked.returncode == 1
    assert "or start again with --yes" in not_asked.stderr
    assert not (folder.parent / "home" / "asked").exists()
    agreed = start(folder, "--yes", "x", path=path)
    assert agreed.stdout == "ran|x\n", agreed.stderr
    assert (folder.parent / "home" / "asked").read_text() == (
        "update -q\ninstall -y -q python3 python3-venv ca-certificates\n"
    )


def test_a_python_that_is_too_old_is_passed_over(folder: Path) -> None:
    path = tools(folder, python3="exit 1", **{"python3.11": f'exec "{sys.executable}" "$@"'})
    assert start(folder, "x", path=path).stdout == "ran|x\n"


def test_a_full_disk_is_told_first(folder: Path) -> None:
    full = "echo head; echo /dev/x 1000 900 51200 90% /"
    done = start(folder, "x", path=tools(folder, df=full, python3=f'exec "{sys.executable}" "$@"'))
    assert done.returncode == 1
    assert "has 50 MB free, and preparing needs 800 MB" in done.stderr
    assert not (folder / ".venv").exists()


@pytest.mark.parametrize(
    "locale", [{"LANG": "zh_CN.UTF-8"}, {"LC_ALL": "zh_SG"}, {"LANGUAGE": "zh_CN:en"}, {"NUTSHELL_LANG": "zh"}]
)
def test_in_chinese(folder: Path, locale: dict[str, str]) -> None:
    full = "echo head; echo /dev/x 1000 900 51200 90% /"
    done = start(folder, "x", path=tools(folder, df=full, python3=f'exec "{sys.executable}" "$@"'), **locale)
    assert done.returncode == 1
    assert "nutshell: 错误：" in done.stderr
    asked = start(
        folder, "--lang", "en", "x", path=tools(folder, df=full, python3=f'exec "{sys.executable}" "$@"'), **locale
    )
    assert "nutshell: error: " in asked.stderr
    assert "只剩 50 MB，而准备环境需要 800 MB\n提示：" in done.stderr


def test_each_sentence_stands_in_both_languages() -> None:
    """Every text that is said comes in pairs, with the same values in both."""
    script = (REPOSITORY / "start.sh").read_text("utf-8").replace("\\\n", " ")
    said = re.findall(
        r"(?<![\w-])(?:fail|tell|broken|because|advise|either|system_install)((?: +\"(?:[^\"\\]|\\.)*\")+)", script
    )
    pairs = 0
    for words in said:
        texts = re.findall(r'"((?:[^"\\]|\\.)*)"', words)
        for english, chinese in zip(texts[::2], texts[1::2], strict=False):
            # A sentence that was put together before, or the last part of a call.
            if not re.search(r"[a-z]{3} [a-z]", re.sub(r"\$\(.*?\)|\$\{.*?\}|\$\w+", "", english)):
                continue
            assert re.search(r"[\u4e00-\u9fff]", chinese), english
            assert _values(english) == _values(chinese), english
            pairs += 1
    assert pairs > 40


def _values(text: str) -> list[str]:
    """The variables in a text of the shell, but for those inside a default."""
    return sorted(set(re.findall(r"\$\{?(\w+)", text)))


@pytest.fixture
def read_only(folder: Path) -> Iterator[Path]:
    """The folder where nothing can be written: a read-only mount for root, permissions for others."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    made = subprocess.run(["mount", "--bind", folder, folder], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"cannot make a read-only mount here: {made.stderr.strip()}")
    subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_read_only_folder_is_prepared_elsewhere(read_only: Path) -> None:
    for _ in range(2):
        done = start(read_only, "x", XDG_DATA_HOME=str(read_only.parent / "data 数据"))
        assert (done.stdout, done.stderr) == ("ran|x\n", "")
    assert (read_only.parent / "data 数据" / "nutshell" / "venv" / ".ready").exists()
    assert not (read_only / ".venv").exists()
