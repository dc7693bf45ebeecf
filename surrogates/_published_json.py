"""A family's source that is one compressed JSON file: where it lies, and its content once its checksum is right."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, NamedTuple

from surrogates import _converted
from surrogates._publishers import Published


class PublishedJson(NamedTuple):
    """One file `NAME.json.gz`: the family it makes, its checksum, and what its numbers were published as."""

    family: str
    name: str
    sha256: str
    source: str

    def find(self) -> Path:
        """Where the file lies on this machine; FileNotFoundError that says how to get it."""
        found = _converted.shared_data(self.name)
        if found is None:
            raise FileNotFoundError(
                f"the runs of {self.family} are not here: `fetch {self.family} --from FILE` with {self.name}, made "
                f"from {self.source}"
            )
        return found

    def published(self) -> Published:
        """What of an archive the family is made from; there is none to download."""
        return Published((), members=(self.name,))

    def read(self, source: Path) -> Any:
        """The content of the file, or of the one in a folder; ValueError where it is not the published one."""
        path = _converted.checked(source / self.name if source.is_dir() else source, self.sha256)
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return json.load(file)

    def made(self, *, licence: str, citation: str, missing: str, seconds: str, left_out: int = 0) -> dict[str, Any]:
        """What the converted tables say of how they were made; left_out: how many runs of the source are not there."""
        return {
            "licence": licence,
            "citation": citation,
            "source": self.source,
            "sha256": {self.name: self.sha256},
            "missing": missing,
            "left_out": left_out,
            "seconds": seconds,
        }
