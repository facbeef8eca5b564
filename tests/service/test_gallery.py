"""Pictures are kept whole, found again, made room for, and never reached by any name but ours."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nutshell.errors import OutputError
from nutshell.service.gallery import Gallery, new_id, picture_id
from nutshell.service.gallery_shelf import is_id
from nutshell.service.store import Store
from tests.service.queue_kit import Puppet, opened, pixels, png, until, wish, within

LIMIT = 10**9

as_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root on Linux"
)


@contextlib.contextmanager
def gallery_in(folder: Path | None, limit: int = LIMIT) -> Iterator[Gallery]:
    store = Store.open(None if folder is None else folder / "jobs.sqlite")
    try:
        yield Gallery.open(store, None if folder is None else folder / "gallery", limit)
    finally:
        store.close()


@pytest.fixture(params=["folder", "amnesia"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path if request.param == "folder" else None


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# ---------------------------------------------------------------- keep, find, mark, remove


def test_pictures_come_and_go(place: Path | None) -> None:
    with gallery_in(place) as gallery:
        pictures = [png(seed, 32) for seed in range(3)]
        items = [gallery.add("job", data, {"seed": seed}) for seed, data in enumerate(pictures)]
        assert [item.number for item in items] == [1, 2, 3]
        assert (items[0].width, items[0].height, items[0].bytes) == (32, 32, len(pictures[0]))
        assert (items[0].job, items[0].parameters, items[0].favourite) == ("job", {"seed": 0}, False)
        assert [gallery.read(item.id) for item in items] == pictures
        assert gallery.page() == items[::-1]
        assert gallery.page(limit=1) == items[2:]
        assert gallery.page(before=3) == items[1::-1]
        assert gallery.page(before=10**30) == items[::-1]
        assert gallery.page(before=-(10**30)) == []
        marked = gallery.favour(items[1].id, True)
        assert marked is not None
        assert marked.favourite
        assert gallery.page(favourites=True) == [marked]
        assert gallery.read(marked.id) == pictures[1]
        assert gallery.remove(items[0].id)
        assert not gallery.remove(items[0].id)
        assert gallery.read(items[0].id) is None
        assert gallery.get(items[0].id) is None
        assert gallery.favour(items[0].id, True) is None
        assert gallery.favour(marked.id, False) == items[1]
        assert gallery.page(favourites=True) == []
        usage = gallery.usage()
        assert (usage.pictures, usage.bytes, usage.note) == (2, len(pictures[1]) + len(pictures[2]), None)


def test_a_thumbnail_is_small_and_of_the_same_shape(place: Path | None) -> None:
    with gallery_in(place) as gallery:
        item = gallery.add("job", png(1, 300, noisy=True), {})
        small = gallery.thumbnail(item.id, 64)
        assert small is not None
        assert small[:4] == b"RIFF"
        assert pixels(small) == (64, 64)
        assert len(small) < item.bytes / 10
        assert pixels(gallery.thumbnail(item.id, 10**9) or b"") == (300, 300)
        assert pixels(gallery.thumbnail(item.id, -5) or b"") == (16, 16)
        assert gallery.thumbnail(new_id(), 64) is None


def test_what_is_no_png_is_refused(place: Path | None) -> None:
    with gallery_in(place) as gallery:
        for data in (b"", b"GIF89a" * 20, png()[:20]):
            with pytest.raises(OutputError, match="no PNG"):
                gallery.add("job", data, {})
        assert gallery.page() == []


def test_it_is_all_there_after_a_restart(tmp_path: Path) -> None:
    with gallery_in(tmp_path) as gallery:
        items = [gallery.add("job", png(seed), {"seed": seed}) for seed in range(3)]
        gallery.favour(items[0].id, True)
    with gallery_in(tmp_path) as gallery:
        assert [item.id for item in gallery.page()] == [item.id for item in items[::-1]]
        assert [item.favourite for item in gallery.page()] == [False, False, True]
    assert names(tmp_path / "gallery") == sorted(
        [f"favourites/{items[0].id}.png", *(f"{item.id}.png" for item in items[1:])]
    )


def test_a_picture_that_is_drawn_again_takes_its_own_place(place: Path | None) -> None:
    with gallery_in(place) as gallery:
        id = picture_id("job", 1)
        gallery.add("job", png(1), {}, id=id)
        gallery.favour(id, True)
        gallery.add("job", png(2), {}, id=id)
        (item,) = gallery.page()
        assert (item.id, item.favourite) == (id, True)
        assert gallery.read(id) == png(2)
        assert gallery.usage().pictures == 1


def test_many_at_once(place: Path | None) -> None:
    with gallery_in(place) as gallery:

        def work(part: int) -> None:
            for seed in range(5):
                item = gallery.add(f"job{part}", png(seed), {})
                gallery.favour(item.id, bool(seed % 2))
                if seed == 4:
                    gallery.remove(item.id)

        threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(gallery.page()) == 16
        assert len(gallery.page(favourites=True)) == 8
        assert all(gallery.read(item.id) for item in gallery.page())


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    "id", ["", "..", "../../etc/passwd", "a" * 21, "a" * 23, "/" + "a" * 21, "a" * 21 + "\n", "-" + "a" * 21,
           "é" * 22, "a" * 10 + "\0" + "a" * 11, "favourites/aaaaaaaaaaa", "CON"],
)  # fmt: skip
def test_no_other_name_reaches_a_file(tmp_path: Path, id: str) -> None:
    with gallery_in(tmp_path) as gallery:
        with contextlib.suppress(OSError, ValueError):
            (tmp_path / "gallery" / f"{id}.png").write_bytes(png())
        before = names(tmp_path / "gallery")
        assert gallery.get(id) is gallery.read(id) is gallery.thumbnail(id, 64) is gallery.favour(id, True) is None
        assert not gallery.remove(id)
        assert names(tmp_path / "gallery") == before


def test_ids_are_safe_names_and_differ() -> None:
    ids = [new_id() for _ in range(2000)] + [picture_id("job", place) for place in range(2000)]
    assert all(map(is_id, ids))
    assert len({id.lower() for id in ids}) == 4000
    assert picture_id("job", 1) == picture_id("job", 1) != picture_id("job2", 1)


@given(st.text(max_size=40))
def test_only_our_form_is_an_id(text: str) -> None:
    plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
    assert is_id(text) == (len(text) == 22 and text[0] in plain and all(letter in plain + "-" for letter in text))


# ---------------------------------------------------------------- a limit


def test_the_oldest_go_and_favourites_stay(place: Path | None) -> None:
    size = len(png(1))
    with gallery_in(place, limit=4 * size) as gallery:
        items = [gallery.add("job", png(1), {}) for _ in range(4)]
        gallery.favour(items[0].id, True)
        gallery.favour(items[2].id, True)
        later = [gallery.add("job", png(1), {}) for _ in range(2)]
        assert [item.id for item in gallery.page()] == [later[1].id, later[0].id, items[2].id, items[0].id]
        assert gallery.read(items[1].id) is None
        assert gallery.usage().note is None
        if place:
            assert len(names(place / "gallery")) == 4


def test_favourites_alone_may_exceed_the_limit_and_it_is_said(
    place: Path | None, caplog: pytest.LogCaptureFixture
) -> None:
    size = len(png(1))
    with gallery_in(place, limit=3 * size) as gallery:
        items = [gallery.add("job", png(1), {}) for _ in range(3)]
        for item in items:
            gallery.favour(item.id, True)
        first, second = (gallery.add("job", png(1), {}) for _ in range(2))
        assert [item.id for item in gallery.page()] == [second.id, *(item.id for item in items[::-1])]
        assert gallery.read(first.id) is None
        usage = gallery.usage()
        assert (usage.favourite_bytes, usage.bytes, usage.limit_bytes) == (3 * size, 4 * size, 3 * size)
        assert usage.note is not None
        assert "the favourites alone fill the gallery" in usage.note
        # The log is told once, not with each picture.
        assert [record.getMessage() for record in caplog.records] == [usage.note]


def test_the_newest_is_kept_even_where_it_exceeds_the_limit(place: Path | None) -> None:
    with gallery_in(place, limit=10) as gallery:
        for seed in range(3):
            item = gallery.add("job", png(seed), {})
            assert gallery.page() == [item]


def test_a_lower_limit_holds_with_the_next_picture(tmp_path: Path) -> None:
    with gallery_in(tmp_path) as gallery:
        for _ in range(6):
            gallery.add("job", png(1), {})
    with gallery_in(tmp_path, limit=2 * len(png(1))) as gallery:
        assert len(gallery.page()) == 6
        gallery.add("job", png(1), {})
        assert len(gallery.page()) == 2


# ---------------------------------------------------------------- index and folder


def test_the_index_is_made_again_out_of_the_files(tmp_path: Path) -> None:
    with gallery_in(tmp_path) as gallery:
        items = [gallery.add("job", png(seed), {"seed": seed}) for seed in range(4)]
        gallery.favour(items[1].id, True)
        for age, item in enumerate(items):
            path = next((tmp_path / "gallery").rglob(f"{item.id}.png"))
            os.utime(path, (1_000_000 + age, 1_000_000 + age))
    for name in ("jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    with gallery_in(tmp_path) as gallery:
        found = gallery.page()[::-1]
        assert [item.id for item in found] == [item.id for item in items]
        assert [item.favourite for item in found] == [False, True, False, False]
        assert [item.parameters["seed"] for item in found] == [0, 1, 2, 3]
        assert [item.parameters["prompt"] for item in found] == ["a red apple"] * 4
        assert [item.created for item in found] == [1_000_000 + age for age in range(4)]
        assert (found[0].width, found[0].bytes, found[0].job) == (64, len(png(0)), "")


def test_what_somebody_did_to_the_folder_by_hand(tmp_path: Path) -> None:
    folder = tmp_path / "gallery"
    with gallery_in(tmp_path) as gallery:
        deleted, moved, back, kept, live = (gallery.add("job", png(seed), {}) for seed in range(5))
        gallery.favour(back.id, True)
        (folder / f"{live.id}.png").unlink()
        # Also while it is open.
        assert gallery.read(live.id) is None
        assert gallery.get(live.id) is None
    (folder / f"{deleted.id}.png").unlink()
    shutil.move(folder / f"{moved.id}.png", folder / "favourites")
    shutil.move(folder / "favourites" / f"{back.id}.png", folder)
    (folder / "holiday.png").write_bytes(png())
    (folder / "notes.txt").write_text("mine")
    mine, false = new_id(), new_id()
    (folder / f"{mine}.png").write_bytes(png(9))
    (folder / f"{false}.png").write_bytes(b"no picture")
    (folder / f".nutshell-{'a' * 12}.part").write_bytes(b"half")
    if hasattr(os, "symlink"):
        (folder / f"{new_id()}.png").symlink_to(folder / "notes.txt")
    with gallery_in(tmp_path, limit=10) as gallery:
        assert {item.id: item.favourite for item in gallery.page()} == {
            moved.id: True, back.id: False, kept.id: False, mine: False,
        }  # fmt: skip
        newest = gallery.add("job", png(), {})
        assert {item.id for item in gallery.page()} == {moved.id, newest.id}
    # What is not ours is never removed.
    assert (folder / "holiday.png").exists()
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / f"{false}.png").exists()


def test_a_part_file_of_a_crash_is_tidied_away(tmp_path: Path) -> None:
    with gallery_in(tmp_path):
        pass
    for folder in (tmp_path / "gallery", tmp_path / "gallery" / "favourites"):
        (folder / ".nutshell-0123456789ab.part").write_bytes(b"half")
        (folder / ".other.part").write_bytes(b"not ours")
    with gallery_in(tmp_path):
        pass
    assert names(tmp_path / "gallery") == [".other.part", "favourites/.other.part"]


# ---------------------------------------------------------------- disks that fail


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "nutshell-test", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@as_root
def test_a_full_disk_fails_the_job_and_nothing_else(small_disk: Path) -> None:
    async def test() -> None:
        worker = Puppet()
        async with opened(small_disk, worker) as kit:
            first = await kit.queue.submit(wish(count=2), "me")
            await until(lambda: worker.at_work)
            worker.order("picture")
            await until(lambda: kit.gallery.page())
            filler = small_disk / "filler"
            with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass
            worker.order("picture")
            (failed,) = await kit.done(first)
            assert (failed.state, len(failed.pictures)) == ("failed", 1)
            assert failed.fault is not None
            assert failed.fault.kind == "OutputError"
            assert failed.fault.message == "the gallery cannot be written: No space left on device"
            assert str(small_disk) not in failed.fault.message + failed.fault.hint
            assert len(kit.gallery.page()) == 1
            assert len(names(small_disk / "gallery")) == 1, "no half file stays"
            refused = await asyncio.gather(
                *(kit.queue.submit(wish("x" * 5000), "me") for _ in range(90)), return_exceptions=True
            )
            assert "the disk is full" in str(refused[-1])
            waiting = len(await kit.queue.page(states=["queued", "running"]))
            filler.unlink()
            # There is room again: what was taken before is drawn, and more is taken.
            last = await kit.queue.submit(wish(), "me")
            for count in range(2, waiting + 3):
                await until(lambda count=count: worker.at_work and len(worker.drawn) == count)
                worker.order("finish")
            (done,) = await kit.done(last)
            assert done.state == "done"
            assert await kit.queue.get(failed.id) == failed
        async with opened(small_disk, Puppet()) as kit:
            states = [job.state for job in await kit.queue.page()]
            assert states.count("failed") == 1
            assert set(states) == {"done", "failed"}

    asyncio.run(within(test()))


@as_root
def test_a_read_only_disk_loses_nothing(small_disk: Path) -> None:
    def remount(mode: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{mode}", str(small_disk)], check=True)

    async def test() -> None:
        folder = small_disk / "state"
        async with opened(folder, Puppet()) as kit:
            job = await kit.queue.submit(wish(), "me")
            await until(lambda: kit.worker.at_work)
            kit.worker.order("finish")
            await kit.done(job)
        remount("ro")
        try:
            # It is told at the start, with a way out.
            with pytest.raises(OutputError) as caught:
                Store.open(folder / "jobs.sqlite")
            assert "--amnesia" in caught.value.hint
            assert not list(folder.glob("*damaged*"))
        finally:
            remount("rw")
        async with opened(folder, Puppet()) as kit:
            assert [job.state for job in await kit.queue.page()] == ["done"]
            assert len(kit.gallery.page()) == 1

    asyncio.run(within(test()))
