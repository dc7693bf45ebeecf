"""Fixtures that several files of tests use."""

from __future__ import annotations

import pytest
from hypothesis import settings
from toys import toy_data

from surrogates.table import Table, TableData

settings.register_profile("foretune", max_examples=50, deadline=None, derandomize=True)
settings.load_profile("foretune")


@pytest.fixture
def data() -> TableData:
    return toy_data()


@pytest.fixture
def table(data: TableData) -> Table:
    return Table(data)
