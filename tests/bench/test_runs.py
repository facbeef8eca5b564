"""Commands with their time and memory, and groups that kill what takes more than it may."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.control_group import Group, limited
from bench.entries import Entry
from bench.process import NotMeasured
from bench.runs import Memory, Ran, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")

MIB = 1 << 20
# Takes so many megabytes, waits, gives them back, and says so.
TAKE = "import sys, time; held = bytearray(b'1') * (int(sys.argv[1]) << 20); time.sleep(1); del held; print('done')"


def taking(megabytes: int) -> list[str]:
    return [sys.executable, "-c", TAKE, str(megabytes)]


def test_memory_is_watched_from_outside(tmp_path: Path) -> None:
    done = run(taking(96), tmp_path)
    assert done.line == "done\n"
    assert done.seconds >= 1
    assert 96 * MIB < done.memory.peak_anonymous <= done.memory.peak < 200 * MIB
    assert done.memory.steady is not None
    assert done.memory.steady <= done.memory.peak


def test_no_setting_of_the_users_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUTSHELL_STEPS", "3")
    done = run([sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"], tmp_path)
    seen = json.loads(done.line)
    assert {name for name in seen if name.startswith("NUTSHELL_")} == {"NUTSHELL_CONFIG"}
    assert Path(seen["NUTSHELL_CONFIG"]).parent == tmp_path


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match="ValueError: because"):
        run([sys.executable, "-c", "raise ValueError('because')"], tmp_path)


def test_a_row_keeps_every_time_and_the_most_memory() -> None:
    entry = Entry()
    for seconds, peak in ((2.0, 7), (1.0, 9), (3.0, 8)):
        Ran("", seconds, Memory(peak, 1, 2, [peak])).keep(entry)
    assert entry.samples == {"picture_seconds": [2.0, 1.0, 3.0]}
    assert (entry.values["peak_bytes"], entry.values["steady_bytes"]) == (9, 9)


@pytest.fixture
def group() -> Group:
    try:
        with limited(64 * MIB):
            pass
    except NotMeasured as error:
        pytest.skip(str(error))
    return Group(Path(), True)


@pytest.mark.usefixtures("group")
def test_what_takes_more_than_the_group_has_is_killed(tmp_path: Path) -> None:
    with limited(64 * MIB) as small:
        assert run(small.joined(taking(16)), tmp_path).line == "done\n"
        assert small.peak_bytes is None or 16 * MIB < small.peak_bytes <= 64 * MIB
        assert small.major_faults >= 0
        with pytest.raises(NotMeasured, match="killed"):
            run(small.joined(taking(128)), tmp_path)
    assert not small.folder.exists()


def test_without_groups_the_reason_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match="run as root"), limited(MIB, tmp_path / "nowhere"):
        pass


def test_both_versions_are_limited_without_swap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in the place of the kernel's, whose files are there from the start."""
    for root, files in (
        ("one", {"memory.limit_in_bytes": "5", "memory.memsw.limit_in_bytes": "5"}),
        ("two", {"memory.max": "5", "memory.swap.max": "0"}),
    ):
        base = tmp_path / root / ("memory" if root == "one" else "")
        base.mkdir(parents=True)
        made = Path.mkdir

        def mkdir(self: Path, *given: object, files: dict[str, str] = files, made: object = made) -> None:
            made(self)  # type: ignore[operator]
            for name in files:
                (self / name).touch()

        with monkeypatch.context() as patch:
            patch.setattr(Path, "mkdir", mkdir)
            patch.setattr("bench.control_group._remove", lambda folder: None)
            with limited(5, tmp_path / root) as found:
                assert {name: (found.folder / name).read_text() for name in files} == files
                assert found.first is (root == "one")


def test_euler_is_that_of_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers")
    from bench.models import _SCHEDULER
    from bench.peers.euler import euler_levels

    theirs = diffusers.EulerDiscreteScheduler.from_config(_SCHEDULER)
    for steps in (1, 4, 20):
        theirs.set_timesteps(steps)
        timesteps, sigmas = euler_levels(steps)
        np.testing.assert_array_equal(timesteps, theirs.timesteps.numpy())
        np.testing.assert_allclose(sigmas, theirs.sigmas.numpy(), rtol=1e-4)
