"""The text of WikiText-2, or of Python's own manual, as arrays of tokens.

WikiText-2: Merity et al. 2016, CC BY-SA 3.0, as published in github.com/pytorch/examples
(word_language_model/data/wikitext-2); every text is checked against its SHA-256. Python's manual (`pydoc`) is
`pydoc_data.topics`, part of every CPython and so there without a network; its text differs between minor versions.

Tokens are words (`words`: what `str.split` gives and `<eos>` at each line's end, the classic vocabulary of 33,278)
or pieces of a byte-level BPE (`bpe1000`), which knows every text. The BPE was learnt once, from the training text, by
    python -m real_benchmarks._wikitext2 --make-bpe
and is shipped in real_benchmarks/data. Encoded arrays are kept in the cache folder under a digest of all that they
depend on, so that a later start reads neither the text nor the tokeniser.
"""

from __future__ import annotations

import functools
import hashlib
import io
import lzma
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "valid", "test")
SHA256 = {
    "train": "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
    "valid": "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
    "test": "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
}
ADDRESS = "https://raw.githubusercontent.com/pytorch/examples/main/word_language_model/data/wikitext-2/{split}.txt"
BPE_FILE = Path(__file__).parent / "data" / "wikitext2_bpe1000.json"
CORPORA = ("wikitext2", "pydoc")
TOKENISERS = ("words", "bpe1000")


class Tokens(NamedTuple):
    """A text as tokens: ids int32 (n,), and how many bytes of the text end with each, int32 (n,)."""

    ids: NDArray[np.int32]
    bytes: NDArray[np.int32]


class Corpus(NamedTuple):
    """The three parts of a corpus and how many different tokens there are."""

    train: Tokens
    valid: Tokens
    test: Tokens
    vocabulary: int


@functools.cache
def load(corpus: str, tokeniser: str, train: int | None, held_out: int | None, data_dir: Path | None = None) -> Corpus:
    """The corpus as tokens, the parts cut after `train` and `held_out` tokens (None: whole), one more as context."""
    for what, given, known in (("corpus", corpus, CORPORA), ("tokeniser", tokeniser, TOKENISERS)):
        if given not in known:
            raise ValueError(f"unknown {what} {given!r}; known are {', '.join(known)}")
    limits = {
        s: None if limit is None else limit + 1 for s, limit in zip(SPLITS, (train, held_out, held_out), strict=True)
    }
    folder = cache_folder() / f"{corpus}-{_digest(corpus, tokeniser, limits)}"
    if data_dir is not None and corpus == "wikitext2":
        find_texts(data_dir)
    try:
        parts = {split: np.load(folder / f"{split}.npy", allow_pickle=False) for split in SPLITS}
    except (OSError, ValueError, EOFError):
        parts = _encode(read_texts(corpus, data_dir), tokeniser, limits)
        _keep(folder, parts)
    vocabulary = 1000 if tokeniser == "bpe1000" else int(parts["train"][0].max()) + 1
    train_part, valid, test = (Tokens(*parts[split]) for split in SPLITS)
    return Corpus(train_part, valid, test, vocabulary)


def cache_folder() -> Path:
    """Where downloads and encoded tokens are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foretune"


def read_texts(corpus: str, data_dir: Path | None = None) -> dict[str, str]:
    """The text of each part; looked for in `data_dir`, then where FORETUNE_DATA says, then downloaded once."""
    if corpus == "pydoc":
        return _pydoc()
    texts: dict[str, str] = {}
    for split, path in _paths(data_dir).items():
        raw = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        if hashlib.sha256(raw).hexdigest() != SHA256[split]:
            raise ValueError(f"{path} is not the published {split} text of WikiText-2: its SHA-256 differs")
        texts[split] = raw.decode()
    return texts


def _paths(data_dir: Path | None) -> dict[str, Path]:
    if data_dir is not None:
        return find_texts(data_dir)
    try:
        return find_texts(Path(os.environ.get("FORETUNE_DATA") or os.devnull))
    except FileNotFoundError:
        return {split: _downloaded(split) for split in SPLITS}


def find_texts(folder: Path) -> dict[str, Path]:
    """The files of WikiText-2 in a folder, packed or plain."""
    paths: dict[str, Path] = {}
    for split in SPLITS:
        tried = [
            folder / name
            for name in (f"wikitext2/wikitext2_{split}.txt.xz", f"wikitext2_{split}.txt.xz", f"{split}.txt")
        ]
        found = [path for path in tried if path.is_file()]
        if not found:
            raise FileNotFoundError(f"no {split} text of WikiText-2 in {folder}: {', '.join(map(str, tried))}. {WAYS}")
        paths[split] = found[0]
    return paths


WAYS = (
    "WikiText-2 can be had in three ways: --data_dir FOLDER or the environment variable FORETUNE_DATA names a folder "
    f"with wikitext2/wikitext2_{{train,valid,test}}.txt.xz or {{train,valid,test}}.txt; else it is downloaded from "
    f"{ADDRESS} into the cache folder. Without any of them, --corpus pydoc trains on Python's own manual."
)


def _downloaded(split: str) -> Path:
    path = cache_folder() / "wikitext-2" / f"{split}.txt"
    if not path.is_file():
        import urllib.request

        try:
            with urllib.request.urlopen(ADDRESS.format(split=split), timeout=60) as answer:
                raw = answer.read()
        except OSError as error:
            raise FileNotFoundError(f"cannot download {ADDRESS.format(split=split)} ({error}). {WAYS}") from None
        if hashlib.sha256(raw).hexdigest() != SHA256[split]:
            raise ValueError(f"what came from {ADDRESS.format(split=split)} is not WikiText-2: its SHA-256 differs")
        _publish(path, raw)
    return path


def _pydoc() -> dict[str, str]:
    """Python's manual by topic, cut at line ends after 80 and 90 % of its lines."""
    from pydoc_data.topics import topics

    lines = "\n".join(topics[name] for name in sorted(topics)).splitlines(keepends=True)
    cuts = (0, len(lines) * 8 // 10, len(lines) * 9 // 10, len(lines))
    return {s: "".join(lines[a:b]) for s, a, b in zip(SPLITS, cuts, cuts[1:], strict=False)}


def _digest(corpus: str, tokeniser: str, limits: dict[str, int | None]) -> str:
    texts = SHA256 if corpus == "wikitext2" else _pydoc()
    merges = hashlib.sha256(BPE_FILE.read_bytes()).hexdigest() if tokeniser == "bpe1000" else "words"
    return hashlib.sha256(repr((1, texts, merges, limits)).encode()).hexdigest()[:16]


def _encode(texts: dict[str, str], tokeniser: str, limits: dict[str, int | None]) -> dict[str, NDArray[np.int32]]:
    if tokeniser == "bpe1000":
        return {split: _pieces(texts[split], limits[split]) for split in SPLITS}
    ids = {"<unk>": 0, "<eos>": 1}
    parts: dict[str, NDArray[np.int32]] = {}
    for split in SPLITS:
        found = [
            (m.group() if m.group() != b"\n" else b"<eos>", m.end())
            for m in re.finditer(rb"\S+|\n", texts[split].encode())
        ]
        words = [word.decode() for word, _ in found[: limits[split]]]
        if split == "train":
            ids |= {word: i for i, word in enumerate((w for w in dict.fromkeys(words) if w not in ids), start=2)}
        ends = np.array([end for _, end in found[: limits[split]]])
        parts[split] = np.array([[ids.get(word, 0) for word in words], np.diff(ends, prepend=0)], np.int32)
    return parts


def _pieces(text: str, limit: int | None) -> NDArray[np.int32]:
    """Ids and bytes of the pieces of a text, encoded line by line until there are `limit`."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise ImportError("encoding a text needs the package 'tokenizers': pip install foretune[torch]") from None
    bpe = Tokenizer.from_file(str(BPE_FILE))
    lengths = [
        len(bpe.id_to_token(i) or "") for i in range(bpe.get_vocab_size())
    ]  # one character of a token is one byte
    ids: list[int] = []
    for line in text.splitlines(keepends=True):
        ids += bpe.encode(line).ids
        if limit is not None and len(ids) >= limit:
            break
    return np.array([ids[:limit], [lengths[i] for i in ids[:limit]]], np.int32)


def _keep(folder: Path, parts: dict[str, NDArray[np.int32]]) -> None:
    try:
        for split, part in parts.items():
            file = io.BytesIO()
            np.save(file, part, allow_pickle=False)
            _publish(folder / f"{split}.npy", file.getvalue())
    except OSError as error:
        print(f"tokens are not cached in {folder} ({error}): each start encodes the text anew", file=sys.stderr)


def _publish(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".tmp-{os.getpid()}")
    temporary.write_bytes(raw)
    os.replace(temporary, path)


def make_bpe(path: Path = BPE_FILE) -> None:
    """Learn the byte-level BPE of 1,000 tokens from the training text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1000, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(read_texts("wikitext2")["train"].splitlines(keepends=True), trainer)
    bpe.save(str(path), pretty=False)


if __name__ == "__main__":
    if sys.argv[1:] != ["--make-bpe"]:
        raise SystemExit("usage: python -m real_benchmarks._wikitext2 --make-bpe")
    make_bpe()
