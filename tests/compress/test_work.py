"""Work that was begun is taken up whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nutshell.compress.calls import Call, Tape, spread
from nutshell.compress.work import Work, take_up
from nutshell.quantization import Around, AttentionSeen, Histogram, Noise, NormSeen, Seen, clipped

RANDOM = np.random.default_rng(2)


def begun() -> Work:
    seen = Seen((8, 4, 3, 3))
    seen.inputs.add(RANDOM.standard_normal(5000).astype(np.float32))
    work = Work("mine", passes={"unet": 8})
    work.pictures = [RANDOM.integers(0, 256, (4, 6, 3)).astype(np.uint8)]
    work.calls = [[Call("unet", {"latent": RANDOM.standard_normal((1, 4, 2, 2)).astype(np.float32)})]]
    around = Around({"norm1": NormSeen(["q", "k"], storable=False)}, {"q": AttentionSeen()})
    around.norms["norm1"].add(RANDOM.standard_normal((1, 40, 6)).astype(np.float32))
    around.attention["q"].key.add(RANDOM.standard_normal(100).astype(np.float32))
    work.add_records({"unet": {"down.0.conv": seen, "mid": Seen((4, 4), Histogram())}}, {"unet": around})
    work.add_noises({"unet": {"down.0.conv": Noise(3.5, 0.25)}})
    work.points = {0: 31.5, 12: 36.25}
    work.half_points = {0: 30.5}
    work.sensed = 1
    return work


def test_saved_and_taken_up(tmp_path: Path) -> None:
    work = begun()
    path = tmp_path / "new" / "a.work.npz"
    work.save(path)
    again = take_up(path, "mine")
    np.testing.assert_array_equal(again.pictures[0], work.pictures[0])
    np.testing.assert_array_equal(again.calls[0][0].inputs["latent"], work.calls[0][0].inputs["latent"])
    mine, theirs = work.records["unet"]["down.0.conv"], again.records["unet"]["down.0.conv"]
    assert list(again.records["unet"]) == list(work.records["unet"])
    assert (theirs.weight, theirs.inputs.total) == (mine.weight, mine.inputs.total)
    assert clipped(theirs.inputs) == clipped(mine.inputs)
    assert again.noises == work.noises
    assert (again.points, again.passes, again.sensed) == (work.points, work.passes, work.sensed)
    assert again.half_points == work.half_points
    norm, its = again.around["unet"].norms["norm1"], work.around["unet"].norms["norm1"]
    assert (norm.linears, norm.storable) == (its.linears, its.storable) == (["q", "k"], False)
    for name in ("low", "high", "rows", "stands"):
        np.testing.assert_array_equal(getattr(norm, name), getattr(its, name))
    assert norm.rows.dtype == its.rows.dtype
    attention, wanted = again.around["unet"].attention["q"], work.around["unet"].attention["q"]
    np.testing.assert_array_equal(attention.key.counts, wanted.key.counts)
    assert (attention.key.power, attention.query.total) == (wanted.key.power, 0)
    again.save(tmp_path / "again.npz")
    assert take_up(tmp_path / "again.npz", "mine").records["unet"]["down.0.conv"].inputs.minimum == mine.inputs.minimum


def test_another_subjects_work_is_left_alone(tmp_path: Path) -> None:
    begun().save(tmp_path / "a.npz")
    assert take_up(tmp_path / "a.npz", "other").pictures == []
    assert take_up(None, "mine").pictures == []
    assert take_up(tmp_path / "nothing.npz", "mine").subject == "mine"


def test_damaged_work_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    begun().save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        assert take_up(path, "mine").pictures == []
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        take_up(path, "mine")  # either as it was, or anew: never an error


def test_pictures_add_up_in_any_order() -> None:
    values = [RANDOM.standard_normal(3000).astype(np.float32) * scale for scale in (1, 30)]
    totals = []
    for order in ((0, 1), (1, 0)):
        work = Work("mine")
        for place in order:
            seen = Seen((4, 4))
            seen.inputs.add(values[place])
            work.add_records({"unet": {"l": seen}}, {})
        totals.append(clipped(work.records["unet"]["l"].inputs))
    assert totals[0] == totals[1]


def test_a_few_runs_of_each_part_are_kept() -> None:
    tape = Tape()
    for number in range(20):
        tape("unet", {"latent": np.full((1, 4, 2, 2), number, np.float32)}, np.zeros(1))
    tape("vae_decoder", {"latent": np.zeros((1, 4, 2, 2), np.float32)}, np.full((1, 3, 16, 16), 2.0))
    assert tape.counts == {"unet": 20, "vae_decoder": 1}
    kept = tape.chosen(4)
    assert [call.part for call in kept] == ["unet"] * 4 + ["vae_decoder", "vae_encoder"]
    assert [call.inputs["latent"].flat[0] for call in kept[:4]] == [0, 6, 13, 19]
    assert kept[-1].inputs["picture"].max() == 1
    assert len(spread(kept, 100)) == len(kept)


def test_inputs_are_kept_as_they_were() -> None:
    tape, latent = Tape(), np.zeros((1, 4, 2, 2), np.float32)
    tape("unet", {"latent": latent}, latent)
    latent += 1
    assert tape.calls[0].inputs["latent"].max() == 0


@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_run_is_enough(count: int) -> None:
    calls = [Call("unet", {})] * count
    assert len(spread(calls, 1)) == 1
