"""The database: kept whole, set aside when it is not, and never in anybody's way."""

from __future__ import annotations

import asyncio
import multiprocessing
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nutshell.errors import OutputError
from nutshell.service.store import Store
from nutshell.service.store_schema import APPLICATION, STEPS, prepare
from tests.service.queue_kit import Puppet, opened, png, until, wish, within
from tests.service.toy import ToyWorker


def count(store: Store, table: str = "jobs") -> int:
    return int(store.run(lambda database: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]))


def filled(folder: Path, jobs: int = 3) -> None:
    """Jobs that have ended, with their pictures."""

    async def fill() -> None:
        async with opened(folder, ToyWorker()) as kit:
            await kit.done(*[await kit.queue.submit(wish(str(n)), "me") for n in range(jobs)])

    asyncio.run(within(fill()))


# ---------------------------------------------------------------- a damaged file


def garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])


def overwritten_in_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 : len(data)] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)


def of_another_program(path: Path) -> None:
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE songs (title TEXT)")
    database.commit()
    database.close()


def changed(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        database = sqlite3.connect(path)
        for statement in statements:
            database.execute(statement)
        database.commit()
        database.close()

    change.__name__ = statements[0].replace(" ", "_")
    return change


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (garbage, "it is damaged"),
        (truncated, "it is damaged"),
        (overwritten_in_the_middle, "it is damaged"),
        (of_another_program, "it belongs to another program"),
        (changed("PRAGMA application_id = 7"), "it belongs to another program"),
        (changed("PRAGMA user_version = 99"), "a newer version of Nutshell wrote it"),
        (changed("ALTER TABLE jobs RENAME COLUMN wish TO want"), "its tables are others"),
        (changed("DROP TABLE inputs"), "its tables are others"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_database_that_is_no_good_is_set_aside(tmp_path: Path, damage: Callable[[Path], None], reason: str) -> None:
    filled(tmp_path)
    path = tmp_path / "jobs.sqlite"
    damage(path)
    before = path.read_bytes()

    async def go_on() -> None:
        async with opened(tmp_path, ToyWorker()) as kit:
            (note,) = kit.store.notes
            assert note == f"the list of jobs was set aside as jobs.sqlite.damaged-1, for {reason}; a new one begins"
            assert await kit.queue.page() == []
            # The pictures are found again by themselves, with what they say of themselves.
            items = kit.gallery.page()
            assert sorted(item.parameters["prompt"] for item in items) == ["0", "1", "2"]
            assert all(kit.gallery.read(item.id) for item in items)
            assert (await kit.done(await kit.queue.submit(wish(), "me")))[0].state == "done"

    asyncio.run(within(go_on()))
    assert path.with_name("jobs.sqlite.damaged-1").read_bytes() == before
    # Another time it gets another name.
    garbage(path)
    store = Store.open(path)
    assert "damaged-2" in store.notes[0]
    store.close()
    assert path.with_name("jobs.sqlite.damaged-1").read_bytes() == before


def test_a_good_database_is_left_alone(tmp_path: Path) -> None:
    filled(tmp_path)
    store = Store.open(tmp_path / "jobs.sqlite")
    assert store.notes == ()
    assert count(store) == count(store, "pictures") == 3
    store.close()
    assert not list(tmp_path.glob("*damaged*"))


def test_a_row_that_cannot_be_read_stops_nothing(tmp_path: Path) -> None:
    filled(tmp_path)
    changed(
        "UPDATE jobs SET wish = '{' WHERE number = 1", "UPDATE jobs SET state = 'queued', wish = '[]' WHERE number = 2"
    )(tmp_path / "jobs.sqlite")

    async def go_on() -> None:
        async with opened(tmp_path, ToyWorker()) as kit:
            assert [job.number for job in await kit.queue.page()] == [3]
            (done,) = await kit.done(await kit.queue.submit(wish(), "me"))
            assert (done.state, done.number) == ("done", 4)

    asyncio.run(within(go_on()))


def test_an_older_database_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path)
    later = (*STEPS, "ALTER TABLE pictures ADD COLUMN stars INTEGER NOT NULL DEFAULT 3")
    monkeypatch.setattr("nutshell.service.store_schema.STEPS", later)
    for _ in range(2):
        store = Store.open(tmp_path / "jobs.sqlite")
        assert store.notes == ()
        assert store.run(lambda database: database.execute("SELECT sum(stars) FROM pictures").fetchone()) == (9,)
        store.close()


def test_a_crash_within_the_first_start_leaves_nothing_half_made(tmp_path: Path) -> None:
    """The tables and the version come in one transaction."""
    database = sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None)
    prepare(database)
    assert database.execute("PRAGMA user_version").fetchone() == (len(STEPS),)
    assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
    database.close()
    broken = sqlite3.connect(tmp_path / "broken.sqlite", isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        broken.executescript(f"BEGIN IMMEDIATE; {STEPS[0]} NONSENSE; COMMIT;")
    broken.close()
    store = Store.open(tmp_path / "broken.sqlite")
    assert (store.notes, count(store)) == ((), 0)
    store.close()


# ---------------------------------------------------------------- other processes, other threads


def _hold(path: str, held: Any, release: Any) -> None:
    store = Store.open(Path(path))
    held.set()
    release.wait()
    store.close()


def test_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nutshell.service.store._LOCK_SECONDS", 0.05)
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(str(tmp_path / "jobs.sqlite"), held, release))
    other.start()
    try:
        assert held.wait(60)
        with pytest.raises(OutputError, match="another service of Nutshell uses it") as caught:
            Store.open(tmp_path / "jobs.sqlite")
        assert "nutshell serve stop" in caught.value.hint
        assert not list(tmp_path.glob("*damaged*"))
    finally:
        release.set()
        other.join(60)
    Store.open(tmp_path / "jobs.sqlite").close()


def test_the_event_loop_never_waits_for_the_disk(tmp_path: Path) -> None:
    import threading

    async def test() -> None:
        store = Store.open(tmp_path / "jobs.sqlite")
        gate = threading.Event()
        slow = asyncio.create_task(store.do(lambda database: gate.wait(20)))
        behind = asyncio.create_task(store.do(lambda database: threading.current_thread().name))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not slow.done()
        assert not behind.done()
        gate.set()
        assert await within(slow) is True
        assert await within(behind) != threading.main_thread().name
        store.close()

    asyncio.run(test())


def test_work_is_done_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "jobs.sqlite")

    def half(database: sqlite3.Connection) -> None:
        database.execute("INSERT INTO pictures VALUES (1, 'a', 'b', 1, 2, 3, 4, 0, '{}')")
        raise KeyError("oh")

    with pytest.raises(KeyError):
        store.run(half)
    with pytest.raises(OutputError, match="UNIQUE constraint failed"):
        store.run(lambda database: [
            database.execute("INSERT INTO pictures VALUES (1, 'a', 'b', 1, 2, 3, 4, 0, '{}')") for _ in range(2)
        ])  # fmt: skip
    assert count(store, "pictures") == 0
    store.close()
    store.close()


# ---------------------------------------------------------------- disks


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="the folder cannot be written to") as caught:
        Store.open(tmp_path / "file" / "jobs.sqlite")
    assert "--amnesia" in caught.value.hint


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size there")
def test_a_full_disk_refuses_the_new_and_loses_nothing_of_the_old(tmp_path: Path) -> None:
    """SQLite's own limit of pages stands for the disk: it fails in the same places with the same words."""

    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            running, queued = [await kit.queue.submit(wish(), "me") for _ in range(2)]
            await until(lambda: worker.at_work)
            await kit.store.do(lambda database: database.execute("PRAGMA max_page_count = 1").fetchone())
            with pytest.raises(OutputError, match="the list of jobs cannot be written: the disk is full") as caught:
                await kit.queue.submit(wish("x" * 9000), "me")
            assert caught.value.hint == "free some space, then try again"
            with pytest.raises(OutputError, match="the disk is full"):
                await kit.queue.submit(wish(image=png(1, 128, noisy=True)), "me")
            assert kit.queue.waiting == 1
            worker.order("finish")
            assert (await kit.done(running))[0].state == "done"
            await until(lambda: worker.at_work and len(worker.drawn) == 2)
            await kit.store.do(lambda database: database.execute("PRAGMA max_page_count = 100000").fetchone())
            worker.order("finish")
            assert (await kit.done(queued))[0].state == "done"
            assert len(await kit.queue.page()) == 2

    asyncio.run(within(test()))


def test_what_could_not_be_written_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nutshell.language import tr
    from nutshell.service import store_jobs

    update, broken = store_jobs.update, [True]

    def failing(database: sqlite3.Connection, record: Any) -> None:
        if broken[0]:
            raise OutputError(tr("the disk is full"))
        update(database, record)

    monkeypatch.setattr(store_jobs, "update", failing)

    async def test() -> None:
        async with opened(tmp_path, ToyWorker()) as kit:
            job = await kit.queue.submit(wish(), "me")
            (done,) = await kit.done(job)
            assert (done.state, len(done.pictures)) == ("done", 1)
            # The database has it waiting; memory knows better.
            assert await kit.queue.get(job.id) == done
            assert await kit.queue.page() == [done]
            assert [event.kind for event in await kit.events(job.id)][-1] == "done"
            assert await kit.queue.wait(job.id) == done
            stale = await kit.store.do(lambda database: store_jobs.get(database, job.id))
            assert stale is not None
            assert stale.state == "queued"
            broken[0] = False
            await kit.done(await kit.queue.submit(wish(), "me"))
            assert await kit.store.do(lambda database: store_jobs.get(database, job.id)) == done

    asyncio.run(within(test()))


# ---------------------------------------------------------------- old jobs


def test_old_jobs_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nutshell.service.queue_ledger.MOST_ENDED", 5)
    monkeypatch.setattr("nutshell.service.queue_ledger._PRUNE_EVERY", 4)

    async def test() -> None:
        async with opened(tmp_path, ToyWorker()) as kit:
            for number in range(12):
                await kit.done(await kit.queue.submit(wish(str(number)), "me"))
            numbers = [job.number for job in await kit.queue.page()]
            assert numbers[:5] == [12, 11, 10, 9, 8]
            assert len(numbers) <= 5 + 4
            assert len(kit.gallery.page()) == 12
        worker = Puppet()
        async with opened(tmp_path, worker) as kit:
            assert [job.number for job in await kit.queue.page()] == [12, 11, 10, 9, 8]
            job = await kit.queue.submit(wish(), "me")
            assert job.number == 13, "numbers are never used again"

    asyncio.run(within(test()))


def test_room_that_pictures_took_is_given_back(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path, ToyWorker()) as kit:
            big = png(1, 400, noisy=True)
            await kit.done(*[await kit.queue.submit(wish(image=big), "me") for _ in range(4)])
            await kit.store.do(lambda database: None)

    asyncio.run(within(test()))
    assert (tmp_path / "jobs.sqlite").stat().st_size < 300_000


def test_a_copy_that_was_made_while_it_ran_is_whole(tmp_path: Path) -> None:
    """What a power cut leaves: the file and its log as they stood at one moment."""

    async def test() -> None:
        worker = Puppet()
        async with opened(tmp_path / "a", worker) as kit:
            jobs = [await kit.queue.submit(wish(str(n), image=png(n)), "me") for n in range(3)]
            await until(lambda: worker.at_work)
            await kit.store.do(lambda database: None)
            shutil.copytree(tmp_path / "a", tmp_path / "b")
        toy = ToyWorker()
        async with opened(tmp_path / "b", toy) as kit:
            done = await kit.done(*jobs)
            assert [job.state for job in done] == ["done"] * 3
            assert [job.attempts for job in done] == [2, 1, 1]
            assert done[0].notes == ("the service had ended while it drew this; it is drawn again",)
            assert [drawn.image for drawn, _ in toy.drawn] == [png(n) for n in range(3)]
            assert [leaner for _, leaner in toy.drawn] == [False] * 3

    asyncio.run(within(test()))
