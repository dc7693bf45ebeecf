"""Fixtures that several files of tests use; one thread of linear algebra in each process, as in a study."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits
from toys import toy_data

from surrogates.table import Table, TableData

settings.register_profile("foretune", max_examples=50, deadline=None, derandomize=True)
settings.load_profile("foretune")

os.environ.setdefault("OMP_NUM_THREADS", "1")
threadpool_limits(1)


@pytest.fixture
def data() -> TableData:
    return toy_data()


@pytest.fixture
def table(data: TableData) -> Table:
    return Table(data)
