"""Bundles that are damaged, cut short, foreign, or made to do harm."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nutshell.errors import CorruptFile, ModelError, ModelNotFound, NutshellError
from nutshell.store import Store
from nutshell.store.bundle import LARGEST_MANIFEST
from nutshell.store.bundle_read import import_bundle
from nutshell.store.bundle_tar import BLOCK, END, header, padding
from tests.store.test_bundle import FILES, OTHER, bundle, content, packed

__all__ = ["bundle"]
Entries = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def entries(path: Path) -> Entries:
    with tarfile.open(path) as tar:
        found = []
        for info in tar.getmembers():
            data = tar.extractfile(info)
            found.append((info, data.read() if data else b""))
        return found


def write(path: Path, members: Entries, end: bytes = END) -> None:
    """A tar of these, whatever they are."""
    raw = b""
    for info, data in members:
        raw += info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(padding(len(data)))
    path.write_bytes(raw + end)


def listing(path: Path, change: Callable[[Any], object]) -> None:
    """Change the list of contents of a bundle."""
    members = entries(path)
    table = json.loads(members[0][1])
    change(table)
    raw = json.dumps(table).encode()
    write(path, [(tarfile.TarInfo.frombuf(header("manifest.json", len(raw)), "utf-8", "strict"), raw), *members[1:]])


def refuse(path: Path, store: Store, says: str) -> NutshellError:
    with pytest.raises(CorruptFile, match=says) as caught:
        import_bundle(path, store)
    assert caught.value.hint
    nothing_half(store)
    return caught.value


def nothing_half(store: Store) -> None:
    """No model is listed, every blob is what its name says, and nothing was written anywhere else."""
    assert store.manifests() == {}
    for path, data in content(store.folder).items():
        if path != ".lock":
            assert path == f"blobs/sha256-{hashlib.sha256(data).hexdigest()}"
    assert sorted(entry.name for entry in store.folder.parent.iterdir() if entry.name.startswith("evil")) == []


def test_cut_anywhere(bundle: Path, store: Store) -> None:
    raw = bundle.read_bytes()
    for length in [0, 1, 511, 512, 600, *range(1024, len(raw), 1777), len(raw) - 1]:
        bundle.write_bytes(raw[:length])
        refuse(bundle, store, "is cut short|no bundle")
    bundle.write_bytes(raw)
    import_bundle(bundle, store)
    assert content(store.view("two")) == OTHER


def test_a_file_that_shrinks_while_it_is_read(bundle: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stick that is pulled out: the length that was checked first no longer holds."""
    monkeypatch.setattr("nutshell.store.bundle_read._check_length", lambda path, want: None)
    raw = bundle.read_bytes()
    for length in range(5000, len(raw), 3333):
        bundle.write_bytes(raw[:length])
        refuse(bundle, store, "is cut short|is damaged")


def test_any_flipped_bit(bundle: Path, tmp_path: Path) -> None:
    """Every byte counts but those of the headers that nobody reads, and the padding."""
    raw = bundle.read_bytes()
    for place in range(0, len(raw), 211):
        bundle.write_bytes(raw[:place] + bytes([raw[place] ^ 4]) + raw[place + 1 :])
        store = Store(tmp_path / f"store {place}")
        try:
            import_bundle(bundle, store)
        except CorruptFile:
            nothing_half(store)
        else:
            assert content(store.view("one")) == FILES
            assert content(store.view("two")) == OTHER


def test_a_flipped_bit_names_the_file_and_a_good_copy_finishes(bundle: Path, store: Store) -> None:
    raw = bundle.read_bytes()
    place = raw.index(b"twotwotwo")
    bundle.write_bytes(raw[:place] + b"T" + raw[place + 1 :])
    error = refuse(bundle, store, r"is damaged: unet/a.safetensors of two has other bytes")
    assert "again" in error.hint
    bundle.write_bytes(raw)
    assert import_bundle(bundle, store).copied < sum(map(len, [*FILES.values(), *OTHER.values()]))
    assert not store.verify("two").bad


def test_a_damaged_wheel_is_noticed(bundle: Path, store: Store) -> None:
    raw = bundle.read_bytes()
    bundle.write_bytes(raw.replace(b"wheelwheel", b"wheelWheel", 1))
    refuse(bundle, store, "wheels/nutshell-1-py3-none-any.whl has other bytes")


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (b"not a tar", "is cut short"),
        (b"x" * 5000, "not read as a tar"),
        (b"\x1f\x8b" + bytes(5000), "not read as a tar"),
        (bytes(5000), "no bundle of Nutshell"),
    ],
)
def test_another_file(tmp_path: Path, store: Store, kind: bytes, says: str) -> None:
    (tmp_path / "x.nut").write_bytes(kind)
    refuse(tmp_path / "x.nut", store, says)


def test_a_foreign_tar(tmp_path: Path, store: Store) -> None:
    for pax in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "x.nut", "w", format=pax, pax_headers={"comment": "hello"}) as tar:
            tar.addfile(tarfile.TarInfo("readme.txt"), io.BytesIO(b""))
        refuse(tmp_path / "x.nut", store, "no bundle of Nutshell")
    info = tarfile.TarInfo("manifest.json")
    info.size = 2
    write(tmp_path / "x.nut", [(info, b"{}")])
    refuse(tmp_path / "x.nut", store, "no bundle of Nutshell")


def test_a_newer_format(bundle: Path, store: Store) -> None:
    listing(bundle, lambda table: table.update(format=2))
    error = refuse(bundle, store, "format 2, and this version reads 1")
    assert "update" in error.hint


def test_a_list_of_contents_of_ten_gigabytes(tmp_path: Path, store: Store) -> None:
    for size in (LARGEST_MANIFEST + 1, 10 * 2**30, -1):
        info = tarfile.TarInfo("manifest.json")
        info.size = size
        (tmp_path / "x.nut").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
        refuse(tmp_path / "x.nut", store, "list of contents of")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
@pytest.mark.parametrize("place", [0, 2])
def test_links_and_devices(bundle: Path, store: Store, kind: bytes, place: int) -> None:
    members = entries(bundle)
    members[place][0].type = kind
    members[place][0].linkname = "../../evil"
    write(bundle, members)
    refuse(bundle, store, "is damaged|no bundle")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE])
def test_extended_headers(bundle: Path, store: Store, kind: bytes) -> None:
    members = entries(bundle)
    members[2][0].type = kind
    write(bundle, members)
    refuse(bundle, store, "is damaged")


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "blobs/../../evil", "blobs\\evil", "licences/../x", "evil"])
def test_names_that_lead_out(bundle: Path, store: Store, name: str) -> None:
    members = entries(bundle)
    members[2][0].name = name
    write(bundle, members)
    refuse(bundle, store, "is damaged")
    listing(bundle, lambda table: table["entries"][1].update(name=name))
    refuse(bundle, store, "no bundle|cannot be used")


@pytest.mark.parametrize(
    "path",
    ["../evil", "/evil", "unet/../../evil", "a\\..\\evil", "C:evil", "con", "x\0y", "", "x" * 999, "unet", "a\nb"],
)
def test_paths_of_models_that_lead_out(bundle: Path, store: Store, path: str) -> None:
    def change(table: Any) -> None:
        files = table["models"][0]["files"]
        files[path] = files["unet/a.safetensors"]

    listing(bundle, change)
    refuse(bundle, store, "manifest|unsafe|one name")


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "", "a b", ".x", "x" * 999, 7, None])
def test_names_of_models(bundle: Path, store: Store, name: object) -> None:
    listing(bundle, lambda table: table["models"][0].update(name=name))
    refuse(bundle, store, "manifest|cannot be read|name")


def test_sizes_that_lie(bundle: Path, store: Store) -> None:
    members = entries(bundle)
    members[2][0].size += 1
    write(bundle, members)
    refuse(bundle, store, "is damaged")
    members[2][0].size -= 1

    def grow(table: Any) -> None:
        table["entries"][2]["size"] += 10**12

    write(bundle, members)
    listing(bundle, grow)
    refuse(bundle, store, "lacks|cut short")


def test_the_same_file_twice_and_files_that_nobody_lists(bundle: Path, store: Store) -> None:
    members = entries(bundle)
    write(bundle, [*members[:3], members[2], *members[3:]])
    refuse(bundle, store, "should follow, not")
    write(bundle, [*members, members[2]])
    refuse(bundle, store, "something else follows")
    write(bundle, members, END + b"evil")
    refuse(bundle, store, "something else follows")
    write(bundle, members[:-1])
    refuse(bundle, store, "cut short|should follow")
    write(bundle, members)
    listing(bundle, lambda table: table["entries"].append({**table["entries"][1], "name": "blobs/again"}))
    refuse(bundle, store, "a file twice")


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.update(models=[]),
        lambda table: table.update(models=3),
        lambda table: table.update(entries={}),
        lambda table: table.pop("kind"),
        lambda table: table["models"].append(table["models"][0]),
        lambda table: table["models"][0]["card"].update(path="/etc/passwd"),
        lambda table: table["models"][0]["card"].update(folder="artist"),
        lambda table: table["models"][0]["card"].update(steps="many"),
        lambda table: table["models"][0].update(card=[]),
        lambda table: table["models"][0].update(format=9),
        lambda table: table["entries"][0].update(sha256="0" * 63),
        lambda table: table["entries"][0].update(sha256="A" * 64),
        lambda table: table["entries"][0].update(size=-1),
        lambda table: table["entries"][0].update(size=True),
        lambda table: table["entries"].pop(2),
    ],
)
def test_lists_of_contents_that_make_no_sense(bundle: Path, store: Store, change: Callable[[Any], object]) -> None:
    listing(bundle, change)
    refuse(bundle, store, "x.nut|models.nut")


def test_deep_json(tmp_path: Path, store: Store) -> None:
    raw = b"[" * 200_000
    (tmp_path / "x.nut").write_bytes(header("manifest.json", len(raw)) + raw + bytes(padding(len(raw))) + END)
    refuse(tmp_path / "x.nut", store, "no bundle of Nutshell")


def test_padding_of_other_tools(bundle: Path, store: Store) -> None:
    bundle.write_bytes(bundle.read_bytes() + bytes(9 * BLOCK))
    assert len(import_bundle(bundle, store).models) == 2


def test_no_file_and_a_folder(tmp_path: Path, store: Store) -> None:
    for path in (tmp_path / "none.nut", tmp_path):
        with pytest.raises(ModelNotFound, match="cannot be read"):
            import_bundle(path, store)


def test_a_disk_that_fails_while_it_is_read(bundle: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    class Failing(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            if self.tell() > 6000:
                raise OSError(5, "Input/output error")
            return super().read(count)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, *rest: Failing(opened(self, "rb").read()))
        with pytest.raises(ModelError, match=r"models\.nut cannot be read: Input/output error"):
            import_bundle(bundle, store)
    nothing_half(store)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root writes everywhere")
def test_a_store_that_cannot_be_written(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o500)
    with pytest.raises(NutshellError, match="permission"):
        import_bundle(bundle, Store(tmp_path / "store"))


def test_packing_uses_safe_names_only(tmp_path: Path) -> None:
    made = packed(tmp_path, "hf:owner/name", FILES)
    from nutshell.store.bundle_write import plan_bundle

    contents, _ = plan_bundle([made])
    assert contents.entries[0].name == "licences/hf--owner--name/LICENSE"
