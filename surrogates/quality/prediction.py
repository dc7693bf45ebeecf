"""How well a surrogate predicts configs that its fit had not seen, with all other configs and with fewer of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surrogates.candidates import CANDIDATES
from surrogates.cross_validation import HeldOut, predicted_by_others
from surrogates.declared import Declared
from surrogates.prepared import Prepared, mean_over
from surrogates.quality.lines import PREDICTED
from surrogates.surrogate import Surrogate
from surrogates.table import HELD_OUT, IID, TableData

Array = NDArray[np.float64]
Rows = NDArray[np.bool_]

ALL, LEARNING = "all that did not diverge", "neither diverged nor on a plateau"
QUARTER, TENTH = "best quarter", "best tenth"
FEWER = (0.25, 0.5, 0.75)
"""Shares of the configs from which the others are predicted too, to see what more of them would bring."""
FEWEST_TAUGHT = 20


@dataclass(frozen=True)
class Predicted:
    """The first objective, to be minimised, as it was measured of n configs and predicted of each without it.

    truth, guess: (n, levels), the truth NaN for a config that always diverged; iid, alive: (n,), which configs are
    independent ones, and which of these have a run that did not diverge; sets: those by which errors are told, (n,).
    """

    truth: Array
    guess: Array
    iid: Rows
    alive: Rows
    sets: dict[str, Rows]

    @staticmethod
    def of(data: TableData, declared: Declared, learned: Prepared, held_out: HeldOut) -> Predicted:
        """What was predicted of the configs of a table."""
        first, sign = learned.first, learned.signs[learned.first]
        truth = mean_over(learned.values[..., first] * sign, learned.good)
        iid = np.array([data.parts[row] == IID for row in learned.rows])
        alive: Rows = iid & learned.good.any(axis=1)
        final = np.where(np.isnan(truth[:, -1]), np.inf, truth[:, -1])
        sets = {
            ALL: alive,
            LEARNING: alive & (final <= declared.plateau),
            QUARTER: _best(final, iid, 0.25),
            TENTH: _best(final, iid, 0.1),
        }
        return Predicted(truth, held_out.values[..., first] * sign, iid, alive, sets)

    def final(self) -> dict[str, dict[str, float]]:
        """The errors of the final loss over each set of configs."""
        return {name: errors(self.truth[rows, -1], self.guess[rows, -1]) for name, rows in self.sets.items()}

    def each_level(self, levels: Sequence[int], of: str) -> list[dict[str, float]]:
        """The errors at each level over one of the sets of configs."""
        rows = self.sets[of]
        return [
            {"level": level} | errors(self.truth[rows, place], self.guess[rows, place])
            for place, level in enumerate(levels)
        ]

    def singles(self) -> list[list[Any]]:
        """Of each i.i.d. config its final loss, measured and predicted, in six digits, and if all its runs diverged."""
        return [
            [*(float(f"{one[row, -1]:.6g}") for one in (self.truth, self.guess)), not self.alive[row]]
            for row in np.flatnonzero(self.iid)
        ]

    def with_fewer(self, learned: Prepared, candidate: str, taught: float) -> list[dict[str, float]]:
        """The lines `PREDICTED` where fewer other configs teach a candidate; the last row is of all that there are.

        taught: how many configs teach where all do.
        """
        last, sign = (slice(None), -1, learned.first), learned.signs[learned.first]
        guesses = {
            share: predicted_by_others(learned, CANDIDATES[candidate], share)[0][last] * sign
            for share in FEWER
            if share * learned.good.any(axis=1).sum() >= FEWEST_TAUGHT
        }
        judged_by = self.sets[LEARNING], self.sets[QUARTER]
        rows: list[dict[str, float]] = []
        for share, guess in {**guesses, 1.0: self.guess[:, -1]}.items():
            learning, best = (errors(self.truth[of, -1], guess[of]) for of in judged_by)
            judged = (learning["spearman"], learning["r2"], best["spearman"])
            rows.append({"configs": round(share * taught)} | dict(zip(PREDICTED, judged, strict=True)))
        return rows


def of_kept_out(data: TableData, declared: Declared, model: Surrogate) -> dict[str, float] | None:
    """The errors of the final loss over the part `held_out`: independent configs that taught no surrogate.

    Over those neither diverged nor on a plateau, by what the mean predicts, as in cross-validation; None without such
    a part.
    """
    rows = [row for row, part in enumerate(data.parts) if part == HELD_OUT]
    if not rows:
        return None
    final, first, mean = data.final_losses()[rows], data.benchmark.objectives[0], model.fitted.mean
    with np.errstate(invalid="ignore"):
        good = np.isfinite(final) & (final <= declared.diverged)
        truth = mean_over(final, good)
        learning = truth <= declared.plateau
    values = mean.values(mean.predict(np.array([model.features(data.configs[row]) for row in rows]))[0])
    guess = values[:, -1, model.fitted.modelled.index(first.metric)] * (-1.0 if first.maximize else 1.0)
    return errors(truth[learning], guess[learning])


def _best(final: Array, iid: Rows, share: float) -> Rows:
    """The best share of the i.i.d. configs, by their final loss (n,)."""
    return iid & np.isfinite(final) & (final <= np.quantile(final[iid], share, method="inverted_cdf"))


def errors(truth: Array, guess: Array) -> dict[str, float]:
    """How far guesses are from the truth; NaN for fewer than three."""
    from scipy import stats

    kendall: Any = stats.kendalltau
    if len(truth) < 3:
        return {"n": len(truth), "rmse": np.nan, "r2": np.nan, "kendall": np.nan, "spearman": np.nan}
    squares, scatter = ((guess - truth) ** 2).sum(), ((truth - truth.mean()) ** 2).sum()
    return {
        "n": len(truth),
        "rmse": float(np.sqrt(squares / len(truth))),
        "r2": float(1 - squares / scatter) if scatter > 0 else np.nan,
        "kendall": float(kendall(truth, guess).statistic),
        "spearman": spearman(truth, guess),
    }


def spearman(first: Array, second: Array) -> float:
    """Spearman's correlation of ranks; NaN where one is constant."""
    from scipy.stats import rankdata

    ranks = np.array([rankdata(first), rankdata(second)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    scatter = (ranks**2).sum(axis=1).prod()
    return float(ranks[0] @ ranks[1] / np.sqrt(scatter)) if scatter > 0 else np.nan
