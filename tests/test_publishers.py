"""Downloads from a publisher, here a server on this machine, and archives: whole and checked, or nothing."""

from __future__ import annotations

import hashlib
import io
import re
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path

import pytest

from harness import __main__ as command_line
from harness.compose import fetching
from surrogates import _publishers
from surrogates._publishers import Published, Remote
from surrogates.families import taskset

CONTENT = bytes(range(256)) * 400


class Publisher:
    """What a server gives for any path: `content`, of which it breaks off after `cut` bytes.

    ranges: the parts that it was asked for, None for the whole.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.cut: int | None = None
        self.resumes = True
        self.status = 200
        self.ranges: list[str | None] = []


@pytest.fixture
def publisher() -> Iterator[tuple[Publisher, str]]:
    state = Publisher(CONTENT)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.ranges.append(wanted)
            begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and state.resumes else 0
            if state.status != 200:
                self.send_error(state.status)
                return
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(state.content) - begin))
            self.end_headers()
            self.wfile.write(state.content[begin : state.cut])

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield state, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FORETUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FORETUNE_DATA", raising=False)
    return tmp_path / "cache"


def remote(address: str, content: bytes = CONTENT) -> Remote:
    return Remote(address, hashlib.sha256(content).hexdigest(), len(content))


def published(monkeypatch: pytest.MonkeyPatch, declared: Published) -> None:
    """Let a family be published like this; its conversion copies what it finds."""

    def convert(source: Path, target: Path) -> None:
        for path in source.rglob("*"):
            if path.is_file():
                (target / path.name).write_bytes(path.read_bytes())

    monkeypatch.setattr(taskset, "PUBLISHED", declared, raising=False)
    monkeypatch.setattr(taskset, "convert", convert)


def files(cache: Path) -> dict[str, bytes]:
    return {str(path.relative_to(cache)): path.read_bytes() for path in cache.rglob("*") if path.is_file()}


# -- downloads ---------------------------------------------------------------------------------------------------------


def test_what_is_nowhere_is_brought_from_its_publisher_and_the_download_is_removed(
    monkeypatch: pytest.MonkeyPatch, cache: Path, publisher: tuple[Publisher, str]
) -> None:
    state, address = publisher
    published(monkeypatch, Published((remote(f"{address}/a.npz"), remote(f"{address}/b.npz"))))
    fetching.fetch("taskset")
    assert files(cache) == {"taskset/a.npz": CONTENT, "taskset/b.npz": CONTENT}
    assert [path.name for path in cache.iterdir()] == ["taskset"]
    assert state.ranges == [None, None]


@pytest.mark.parametrize("resumes", [True, False])
def test_an_interrupted_download_goes_on_or_starts_again(
    monkeypatch: pytest.MonkeyPatch, cache: Path, publisher: tuple[Publisher, str], resumes: bool
) -> None:
    state, address = publisher
    published(monkeypatch, Published((remote(f"{address}/a.npz"),)))
    state.cut, state.resumes = 5000, resumes
    with pytest.raises(FileNotFoundError, match=r"a\.npz cannot be downloaded .*5000 bytes of it are kept") as refused:
        fetching.fetch("taskset")
    assert "`fetch taskset --from FOLDER`" in str(refused.value) and "\n" not in str(refused.value)
    assert files(cache) == {"downloads/taskset/a.npz.part": CONTENT[:5000]}
    state.cut = None
    fetching.fetch("taskset")
    assert state.ranges == [None, "bytes=5000-"]
    assert files(cache) == {"taskset/a.npz": CONTENT}


@pytest.mark.parametrize("wrong", ["changed", "longer", "part changed"])
def test_another_file_than_the_published_one_is_refused_and_thrown_away(
    monkeypatch: pytest.MonkeyPatch, cache: Path, publisher: tuple[Publisher, str], wrong: str
) -> None:
    state, address = publisher
    published(monkeypatch, Published((remote(f"{address}/a.npz"),)))
    part = cache / "downloads" / "taskset" / "a.npz.part"
    if wrong == "part changed":
        part.parent.mkdir(parents=True)
        part.write_bytes(b"x" * 5000)
    else:
        state.content = CONTENT + b"x" if wrong == "longer" else CONTENT[:-1] + b"x"
    if wrong == "longer":
        with pytest.raises(FileNotFoundError, match=f"expected {len(CONTENT)} bytes, found {len(CONTENT) + 1} or more"):
            fetching.fetch("taskset")
    else:
        with pytest.raises(ValueError, match=rf"{address}/a\.npz: expected the SHA-256 \w+, found \w+") as refused:
            fetching.fetch("taskset")
        assert hashlib.sha256(CONTENT).hexdigest() in str(refused.value)
        assert files(cache) == {}
    state.content = CONTENT
    fetching.fetch("taskset")
    assert files(cache) == {"taskset/a.npz": CONTENT}


def test_a_publisher_that_cannot_be_reached_is_one_line_and_exit_2(
    monkeypatch: pytest.MonkeyPatch,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
    publisher: tuple[Publisher, str],
) -> None:
    state, address = publisher
    state.status = 404
    monkeypatch.setattr("sys.argv", ["foretune", "fetch", "taskset"])
    for where, why in ((f"{address}/a.npz", "404"), ("https://far.example/a.npz", "tests are offline")):
        published(monkeypatch, Published((remote(where),)))
        with pytest.raises(SystemExit) as left:
            command_line.main()
        said = capsys.readouterr().err
        assert left.value.code == 2 and said.count("\n") == 1
        assert where in said and why in said and "`fetch taskset --from FOLDER`" in said and "kept" not in said
        assert files(cache) == {}


def test_a_conversion_that_fails_keeps_the_download_and_leaves_no_family(
    monkeypatch: pytest.MonkeyPatch, cache: Path, publisher: tuple[Publisher, str]
) -> None:
    state, address = publisher
    published(monkeypatch, Published((remote(f"{address}/a.npz"),)))
    whole = taskset.convert

    def broken(source: Path, target: Path) -> None:
        whole(source, target)
        raise ValueError("half-way")

    monkeypatch.setattr(taskset, "convert", broken)
    with pytest.raises(ValueError, match="half-way"):
        fetching.fetch("taskset")
    assert files(cache) == {"downloads/taskset/a.npz": CONTENT}
    monkeypatch.setattr(taskset, "convert", whole)
    fetching.fetch("taskset")
    assert files(cache) == {"taskset/a.npz": CONTENT} and len(state.ranges) == 1


# -- archives ----------------------------------------------------------------------------------------------------------

Entry = tuple[str, bytes, str]
"""Name, content, and kind: file, link, or device."""
WHOLE: list[Entry] = [("box/data/a.pkl", CONTENT, "file"), ("box/b.py", b"raise", "file")]
NEEDED = Published((), "box", ("data/a.pkl",))


def zipped(path: Path, entries: list[Entry]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, kind in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = {"file": stat.S_IFREG, "link": stat.S_IFLNK, "device": stat.S_IFCHR}[kind] << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


def tarred(path: Path, entries: list[Entry]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content, kind in entries:
            info = tarfile.TarInfo(name)
            info.type = {"file": tarfile.REGTYPE, "link": tarfile.SYMTYPE, "device": tarfile.CHRTYPE}[kind]
            info.linkname, info.size = "/etc/passwd" * (kind == "link"), len(content) if kind == "file" else 0
            archive.addfile(info, io.BytesIO(content))
    return path


PACK: dict[str, Callable[[Path, list[Entry]], Path]] = {"box.whl": zipped, "box.zip": zipped, "box.tar.gz": tarred}


@pytest.mark.parametrize("name", PACK)
def test_of_an_archive_what_is_needed_is_unpacked_for_the_conversion(
    monkeypatch: pytest.MonkeyPatch, cache: Path, publisher: tuple[Publisher, str], name: str
) -> None:
    state, address = publisher
    archive = PACK[name](cache.parent / name, WHOLE)
    state.content = archive.read_bytes()
    published(monkeypatch, NEEDED._replace(files=(remote(f"{address}/{name}", state.content),)))
    for source in (archive, None):
        fetching.fetch("taskset", source)
        assert files(cache) == {"taskset/a.pkl": CONTENT}
        assert [path.name for path in cache.iterdir()] == ["taskset"]


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize("family", ["taskset", "nmt_transformer", "llama_lr", "nbnlp", "lcbench"])
def test_in_an_archive_that_is_not_a_publishers_the_files_may_lie_anywhere(
    tmp_path: Path, cache: Path, name: str, family: str
) -> None:
    needed = list(import_module(f"surrogates.families.{family}").PUBLISHED.needed())
    archive = PACK[name](tmp_path / name, [(f"some/where/{file}", b"another one", "file") for file in needed])
    with pytest.raises(ValueError, match=rf"unpacked.*/{re.escape(needed[0])}: expected the SHA-256"):
        fetching.fetch(family, archive)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (("../out.txt", b"x", "file"), r"found a path outside: '\.\./out\.txt'"),
        (("box/../../out.txt", b"x", "file"), "found a path outside"),
        (("/tmp/out.txt", b"x", "file"), "found a path outside"),
        (("C:\\out.txt", b"x", "file"), "found a path outside"),
        (("..\\out.txt", b"x", "file"), "found a path outside"),
        (("box/link", b"/etc/passwd", "link"), "found a link or device: 'box/link'"),
        (("box/null", b"", "device"), "found a link or device"),
        (("box/zeros", bytes(50_000_000), "file"), "200 times its size unpacked, found more"),
    ],
)
def test_an_archive_that_is_not_to_be_trusted_is_refused(
    tmp_path: Path, cache: Path, name: str, entry: Entry, said: str
) -> None:
    (tmp_path / "below").mkdir()
    archive = PACK[name](tmp_path / "below" / name, [entry, *WHOLE])
    with pytest.raises(ValueError, match=rf"{name}: expected .*{said}"), _publishers.unpacked(archive, NEEDED):
        pass
    assert list(cache.iterdir()) == [] and not list(tmp_path.rglob("out.txt"))


@pytest.mark.parametrize("name", PACK)
def test_an_archive_that_is_cut_off_or_lacks_what_is_needed_is_refused(tmp_path: Path, cache: Path, name: str) -> None:
    archive = PACK[name](tmp_path / name, WHOLE)
    other = NEEDED._replace(members=("data/b.pkl",))
    with pytest.raises(ValueError, match=rf"{name}: expected box/data/b\.pkl, "), _publishers.unpacked(archive, other):
        pass
    whole = archive.read_bytes()
    for cut in (b"", b"text", whole[:60], whole[:-30], whole[: len(whole) // 2]):
        archive.write_bytes(cut)
        with pytest.raises(ValueError, match=rf"{name}: expected"), _publishers.unpacked(archive, NEEDED):
            pass
    assert list(cache.iterdir()) == []
