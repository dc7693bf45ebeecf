"""Fixtures that several files of tests use; one thread of linear algebra in each process, as in a study."""

from __future__ import annotations

import os
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits
from toys import toy_data

from surrogates.table import Table, TableData

settings.register_profile("foretune", max_examples=50, deadline=None, derandomize=True)
settings.load_profile("foretune")

os.environ.setdefault("OMP_NUM_THREADS", "1")
threadpool_limits(1)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is downloaded but from this machine."""

    def here_only(request: Request, timeout: float) -> Any:
        if request.host.partition(":")[0] != "127.0.0.1":
            raise URLError("tests are offline")
        return urlopen(request, timeout=timeout)

    monkeypatch.setattr("surrogates._publishers.urlopen", here_only)


@pytest.fixture
def data() -> TableData:
    return toy_data()


@pytest.fixture
def table(data: TableData) -> Table:
    return Table(data)
