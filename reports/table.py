"""A table: words for readers and the numbers behind them, as Markdown, CSV and LaTeX.

Whatever a name holds, it shows as text in each of the forms.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "–": "--",
    "×": r"$\times$", "±": r"$\pm$", '"': r"\textquotedbl{}", "|": r"\textbar{}",
}  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With one of these a spreadsheet takes a text for a formula."""
NUMERIC = re.compile(r"[-–+.\d]|inf|< |> |= ")


class Table(NamedTuple):
    """A table; make its files with `markdown`, `csv` and `latex`."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    bold: frozenset[tuple[int, int]] = frozenset()
    """The cells set in bold: row and column, from 0."""
    caption: str = ""
    numbers: pd.DataFrame | None = None
    """What the words are made from, unrounded."""


def bold_rows(rows: Sequence[bool]) -> frozenset[tuple[int, int]]:
    """The first cell of each wanted row."""
    return frozenset((row, 0) for row, wanted in enumerate(rows) if wanted)


def markdown(table: Table) -> str:
    """A table in Markdown."""
    lines = [_markdown_cells(table.head), "| " + " | ".join(["---"] * len(table.head)) + " |"]
    for place, row in enumerate(table.rows):
        lines.append(_markdown_cells(row, [(place, column) in table.bold for column in range(len(row))]))
    return "\n".join(lines)


def csv(table: Table) -> str:
    """The numbers of a table as CSV; its words where it has no others.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    frame = pd.DataFrame(table.rows, columns=list(table.head)) if table.numbers is None else table.numbers
    return frame_csv(frame)


def frame_csv(frame: pd.DataFrame, digits: int = 8) -> str:
    """A frame as CSV, in which no text is taken for a formula; digits: significant ones of a number."""
    guarded = {
        name: frame[name] if pd.api.types.is_numeric_dtype(frame[name]) else frame[name].map(_guarded)
        for name in frame.columns
    }
    return pd.DataFrame(guarded, columns=frame.columns).to_csv(
        index=False, lineterminator="\n", float_format=f"%.{digits}g"
    )


def latex(table: Table) -> str:
    """A table in LaTeX with the rules of the package booktabs; columns of numbers stand at the right."""
    columns = list(zip(*table.rows, strict=True)) or [()] * len(table.head)
    sides = "".join("r" if cells and all(NUMERIC.match(cell) for cell in cells) else "l" for cells in columns)
    lines = [_latex_cells(table.head)]
    for place, row in enumerate(table.rows):
        lines.append(_latex_cells(row, [(place, column) in table.bold for column in range(len(row))]))
    head, *body = (f"    {line} \\\\" for line in lines)
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            f"  \\caption{{{escaped(table.caption)}}}",
            f"  \\begin{{tabular}}{{{sides}}}",
            r"    \toprule",
            head,
            r"    \midrule",
            *body,
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def escaped(words: str) -> str:
    """Words in which LaTeX sees no commands."""
    return "".join(LATEX.get(letter, letter) for letter in " ".join(words.split()))


def plain(words: str) -> str:
    """Words in which Markdown sees no HTML, no table, no emphasis and no link."""
    text = re.sub(r"([\\*|])", r"\\\1", " ".join(words.split()))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("](", "]\\(")
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def _guarded(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _markdown_cells(cells: Sequence[str], bold: Sequence[bool] = ()) -> str:
    marks = bold or [False] * len(cells)
    shown = (f"**{plain(cell)}**" if mark else plain(cell) for cell, mark in zip(cells, marks, strict=True))
    return "| " + " | ".join(shown) + " |"


def _latex_cells(cells: Sequence[str], bold: Sequence[bool] = ()) -> str:
    marks = bold or [False] * len(cells)
    shown = (f"\\textbf{{{escaped(cell)}}}" if mark else escaped(cell) for cell, mark in zip(cells, marks, strict=True))
    words = " & ".join(shown)
    return f"{{}}{words}" if words.startswith(("[", "*")) else words  # else the end of the row before would take it
