"""What follows from the facts, on machines made up by hand."""

from __future__ import annotations

from nutshell.machine import Disk, Machine, Memory, machine_with
from nutshell.machine.facts import ASSUMED_BYTES


def test_usable_is_what_is_free_and_what_is_held() -> None:
    assert Machine(memory=Memory(total_bytes=1000, available_bytes=600, own_bytes=50)).usable_bytes == 650


def test_a_group_limit_counts_where_it_is_the_tighter() -> None:
    limited = Memory(available_bytes=600, cgroup_limit_bytes=300, cgroup_used_bytes=100, own_bytes=50)
    assert Machine(memory=limited).usable_bytes == 250
    wide = Memory(available_bytes=600, cgroup_limit_bytes=9000, cgroup_used_bytes=100, own_bytes=50)
    assert Machine(memory=wide).usable_bytes == 650
    shared = Memory(available_bytes=600, cgroup_limit_bytes=300, cgroup_used_bytes=10, own_bytes=50)
    assert Machine(memory=shared).usable_bytes == 300
    full = Memory(available_bytes=600, cgroup_limit_bytes=300, cgroup_used_bytes=400)
    assert Machine(memory=full).usable_bytes == 0


def test_unread_memory_is_guessed_low() -> None:
    assert Machine(memory=Memory(total_bytes=1000)).usable_bytes == 500
    assert Machine().usable_bytes == ASSUMED_BYTES
    assert Machine().cores == 1


def test_a_made_up_machine_has_what_it_was_given() -> None:
    machine = machine_with(usable_bytes=2_000, cores=3)
    assert (machine.usable_bytes, machine.cores, machine.gpus) == (2_000, 3, ())


def test_a_path_lies_on_the_nearest_mount_and_the_latest() -> None:
    root, home, early, late = Disk("/"), Disk("/home"), Disk("/media/a", "ext4"), Disk("/media/a", "vfat")
    machine = Machine(disks=(root, home, early, late))
    assert machine.disk_of("/homework") is root
    assert machine.disk_of("/home/x") is home
    assert machine.disk_of("/media/a/models") is late
    assert Machine(disks=(home,)).disk_of("/etc") is None
