"""Sources of families at their publishers: downloaded, checked, and unpacked where they are archives.

A download goes to a file beside its place, goes on where an earlier one was interrupted, and takes its place when size
and checksum are right; what is wrong is thrown away. Of an archive only what a family needs is unpacked, and none that
could write outside, link, or fill the disk.
"""

from __future__ import annotations

import fcntl
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, NamedTuple
from urllib.request import Request, urlopen

from harness.cache import cache, working
from surrogates._converted import checked

SECONDS, BLOCK = 60, 1 << 20
"""How long a publisher may keep silent, and how much is read at once."""
ENTRIES, RATIO, TOTAL = 100_000, 200, 8 << 30
"""Of an archive: entries, unpacked bytes for each of its own, and unpacked bytes, at most."""
BROKEN = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError, RuntimeError)
"""What reading an archive raises that is cut off, another kind of file, or locked."""
SUFFIXES = (".zip", ".whl", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")


class Remote(NamedTuple):
    """A file at its publisher, whose name is the last part of its address; size in bytes."""

    address: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """The file's name."""
        return self.address.rpartition("/")[2]


class Published(NamedTuple):
    """What a family is made from: files, or one archive with the members that are needed, below a folder in it.

    Without a folder they may lie anywhere in an archive; without files there is nothing to download.
    """

    files: tuple[Remote, ...]
    folder: str = ""
    members: tuple[str, ...] = ()

    def place_of(self, entry: str) -> str:
        """Where an entry of an archive stands among `needed`."""
        return entry if self.folder else PurePosixPath(entry).name

    def needed(self) -> dict[str, str]:
        """What is needed of an archive: its place, and what it is called outside."""
        members = self.members or tuple(remote.name for remote in self.files)
        return {f"{self.folder}/{member}" if self.folder else member: member for member in members}


def is_archive(path: Path) -> bool:
    """Whether a path names an archive that can be unpacked."""
    return path.is_file() and path.name.endswith(SUFFIXES)


# -- downloads ---------------------------------------------------------------------------------------------------------


@contextmanager
def downloaded(published: Published, family: str) -> Generator[Path]:
    """The files of a family, or its archive, in the cache; removed when all went well with them.

    FileNotFoundError with the address where it cannot be had, ValueError where it is another file.
    """
    folder = cache() / "downloads" / family
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for remote in published.files:
            _download(remote, folder)
        yield folder / published.files[0].name if published.members else folder
        shutil.rmtree(folder)
    finally:
        for path in (folder, folder.parent, cache()):
            with suppress(OSError):  # what holds something stays
                path.rmdir()


def _download(remote: Remote, folder: Path) -> None:
    path, part = folder / remote.name, folder / f"{remote.name}.part"
    with open(part, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # of two that fetch at once the second waits, and finds it done
        if not path.exists():
            try:
                _receive(remote, file)
            except (OSError, HTTPException) as error:
                file.flush()
                kept = part.stat().st_size
                rest = f"; {kept} bytes of it are kept for the next time" if kept else ""
                if not kept:
                    part.unlink()
                raise FileNotFoundError(f"{remote.address} cannot be downloaded ({error}){rest}") from None
            try:
                checked(part, remote.sha256)
            except ValueError as error:
                part.unlink()
                raise ValueError(f"{remote.address}: {str(error).removeprefix(f'{part}: ')}") from None
            part.rename(path)
    part.unlink(missing_ok=True)


def _receive(remote: Remote, file: IO[bytes]) -> None:
    """Add what is missing of a file; from the start where the publisher cannot go on, or too much is there."""
    received = file.seek(0, 2)
    if received > remote.size:
        received = file.truncate(0)
    if received == remote.size:
        return
    headers = {"User-Agent": "foretune"} | ({"Range": f"bytes={received}-"} if received else {})
    with urlopen(Request(remote.address, headers=headers), timeout=SECONDS) as answer:
        if answer.status != 206:
            received = file.truncate(0)
        while block := answer.read(min(BLOCK, remote.size + 1 - received)):
            file.write(block)
            received += len(block)
    file.flush()
    if received != remote.size:
        raise ConnectionError(f"expected {remote.size} bytes, found {received}{' or more' * (received > remote.size)}")


# -- archives ----------------------------------------------------------------------------------------------------------


class _Entry(NamedTuple):
    name: str
    ordinary: bool
    """A file or a folder, and neither a link nor a device."""
    size: int
    content: Callable[[], Any]


@contextmanager
def unpacked(archive: Path, published: Published) -> Generator[Path]:
    """A temporary folder with what a family needs of an archive; ValueError where that is not to be trusted."""
    with working(cache() / "unpacked") as target:
        missing = published.needed()
        try:
            for entry in _checked(archive, _entries(archive)):
                if member := missing.pop(published.place_of(entry.name), None):
                    place = target / member
                    place.parent.mkdir(parents=True, exist_ok=True)
                    with entry.content() as content, open(place, "xb") as file:
                        shutil.copyfileobj(content, file)
        except BROKEN as error:
            raise ValueError(f"{archive}: expected a whole archive, found something else ({error})") from None
        if missing:
            raise ValueError(f"{archive}: expected {', '.join(missing)}, found no such members")
        yield target


def _entries(archive: Path) -> Iterator[_Entry]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                ordinary = kind in (0, stat.S_IFREG, stat.S_IFDIR)
                yield _Entry(
                    info.filename, ordinary, info.file_size, lambda opened=opened, info=info: opened.open(info)
                )
    else:
        with tarfile.open(archive) as opened:
            for member in opened:
                ordinary = member.isfile() or member.isdir()
                yield _Entry(
                    member.name, ordinary, member.size, lambda opened=opened, member=member: opened.extractfile(member)
                )


def _checked(archive: Path, entries: Iterable[_Entry]) -> Iterator[_Entry]:
    """The entries of an archive; ValueError at one that could write outside its folder, or at too much of them."""
    left = min(RATIO * archive.stat().st_size, TOTAL)
    for number, entry in enumerate(entries):
        parts = {*PurePosixPath(entry.name).parts, *PureWindowsPath(entry.name).parts}
        outside = ".." in parts or PurePosixPath(entry.name).is_absolute() or bool(PureWindowsPath(entry.name).anchor)
        if outside or not entry.ordinary:
            found = "a path outside" if outside else "a link or device"
            raise ValueError(f"{archive}: expected files and folders inside, found {found}: {entry.name!r}")
        left -= entry.size
        if number >= ENTRIES or left < 0:
            raise ValueError(
                f"{archive}: expected at most {ENTRIES} entries and {RATIO} times its size unpacked, found more"
            )
        yield entry
