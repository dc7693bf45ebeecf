"""lcdb_*: how accurate 20 learners of scikit-learn are on 248 data sets of OpenML, by the size of the training set.

The one choice is the learner. A level is a number of training samples, mostly 16, 23, 32, 45 and so on by half powers
of 2, the last all there are; each is a fresh training with its own seconds. Metrics: accuracy on validation and on
training data; the one on test data is kept from the methods. Replicates are the five outer and five inner splits.

A replicate that lacks a size below its largest is left out, as are splits beyond the five and five that nearly all
learners have, and a learner of which no replicate remains. A curve that ends below the largest size, where the learner
was too slow or failed, ends early there.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from harness.space import Config, Space, choice
from harness.types import Benchmark, CurveModel, End, Fidelity, Objective
from surrogates import _converted
from surrogates._publishers import Published, Remote
from surrogates.table import ENDS

LICENCE = "MIT"
CITATION = "Mohr et al., LCDB 1.0: An Extensive Learning Curves Database for Classification Tasks, 2022"
PACKAGE = "lcdb 0.1.0"
FILE, SHA256 = "database-accuracy.csv", "5bf9f9388d37da47ce5e0edaf67dacfbd12a05ba50b76b5b3f4bf2dce02d85ac"
PUBLISHED = Published(
    (
        Remote(
            "https://files.pythonhosted.org/packages/6a/20/"
            "2cebb44ab119bd4146d32fba0e9806ef168b7f3489160db7fc27b7462b09/lcdb-0.1.0.tar.gz",
            "450ea69b249866298653f718d66a825e3d19a4024dd4ff140b89f2e04d4777ae",
            68153129,
        ),
    ),
    "lcdb-0.1.0/lcdb",
    (FILE,),
)
SPLITS, SMALLEST, TRAININGS, WORKERS = 5, 16, 40, 4
METRICS = {"val_accuracy": "score_valid", "train_accuracy": "score_train", "test_accuracy": "score_test"}
"""Ours and the source's names."""
LEARNERS = {
    "SVC_linear": "SVC_linear",
    "SVC_poly": "SVC_poly",
    "SVC_rbf": "SVC_rbf",
    "SVC_sigmoid": "SVC_sigmoid",
    "LinearDiscriminantAnalysis": "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
    "QuadraticDiscriminantAnalysis": "sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis",
    "ExtraTreesClassifier": "sklearn.ensemble.ExtraTreesClassifier",
    "GradientBoostingClassifier": "sklearn.ensemble.GradientBoostingClassifier",
    "RandomForestClassifier": "sklearn.ensemble.RandomForestClassifier",
    "LogisticRegression": "sklearn.linear_model.LogisticRegression",
    "PassiveAggressiveClassifier": "sklearn.linear_model.PassiveAggressiveClassifier",
    "Perceptron": "sklearn.linear_model.Perceptron",
    "RidgeClassifier": "sklearn.linear_model.RidgeClassifier",
    "SGDClassifier": "sklearn.linear_model.SGDClassifier",
    "BernoulliNB": "sklearn.naive_bayes.BernoulliNB",
    "MultinomialNB": "sklearn.naive_bayes.MultinomialNB",
    "KNeighborsClassifier": "sklearn.neighbors.KNeighborsClassifier",
    "MLPClassifier": "sklearn.neural_network.MLPClassifier",
    "DecisionTreeClassifier": "sklearn.tree.DecisionTreeClassifier",
    "ExtraTreeClassifier": "sklearn.tree.ExtraTreeClassifier",
}
"""Ours and the source's names."""
DATA_SETS = {
    3: (0, 15, 2588, 0.0471), 6: (0, 19, 16200, 0.991), 11: (0, 9, 505, 0.0041), 12: (0, 13, 1620, 0.158),
    13: (0, 7, 231, 0.00515), 14: (0, 13, 1620, 0.0781), 16: (0, 13, 1620, 0.0751), 18: (0, 13, 1620, 0.0398),
    21: (0, 13, 1399, 0.0106), 22: (0, 13, 1620, 0.0781), 23: (0, 13, 1192, 0.0157), 24: (0, 17, 6579, 0.0387),
    26: (0, 19, 10497, 0.0478), 28: (0, 17, 4552, 0.162), 30: (0, 17, 4432, 0.0328), 31: (0, 11, 810, 0.0187),
    32: (0, 19, 8902, 0.0775), 36: (0, 13, 1871, 0.0428), 38: (0, 15, 3054, 0.132), 44: (0, 15, 3726, 0.0574),
    46: (0, 15, 2583, 0.149), 54: (0, 11, 684, 0.0109), 55: (0, 5, 125, 0.0016), 57: (0, 15, 3054, 0.243),
    60: (0, 15, 4050, 0.159), 61: (0, 5, 121, 0.0023), 179: (0, 23, 39561, 0.833), 180: (0, 25, 100393, 19.3),
    181: (0, 13, 1201, 0.0148), 182: (0, 17, 5208, 0.18), 184: (0, 21, 22725, 0.58), 185: (0, 13, 1085, 0.0123),
    188: (0, 11, 595, 0.034), 201: (0, 19, 12150, 0.172), 273: (0, 25, 110919, 10.7), 293: (0, 31, 571012, 6.97),
    299: (0, 9, 291, 0.0158), 300: (0, 17, 6315, 3.62), 336: (0, 7, 216, 0.0053), 346: (0, 3, 40, 0.0009),
    351: (0, 29, 478565, 1.27), 354: (0, 31, 1015010, 1.53), 357: (0, 25, 88528, 1.86), 380: (0, 3, 48, 0.0022),
    389: (0, 13, 1994, 1.47), 390: (0, 17, 7741, 59.3), 391: (0, 13, 1217, 0.932), 392: (0, 11, 811, 0.488),
    393: (0, 15, 2490, 4.85), 395: (0, 13, 1341, 1.77), 396: (0, 15, 2594, 5.47), 398: (0, 13, 1263, 2.85),
    399: (0, 19, 9040, 31.1), 401: (0, 11, 850, 0.516), 446: (0, 7, 162, 0.00165), 554: (0, 23, 60000, 19.5),
    679: (0, 11, 828, 0.009), 715: (0, 11, 810, 0.0089), 718: (0, 11, 810, 0.0209), 720: (0, 15, 3383, 0.0149),
    722: (0, 19, 12150, 0.139), 723: (0, 11, 810, 0.0108), 727: (0, 23, 33021, 0.0849), 728: (0, 15, 3281, 0.013),
    734: (0, 19, 11137, 0.16), 735: (0, 17, 6634, 0.0619), 737: (0, 15, 2516, 0.0147), 740: (0, 11, 810, 0.0058),
    741: (0, 11, 828, 0.003), 743: (0, 11, 810, 0.0035), 751: (0, 11, 810, 0.0056), 752: (0, 17, 6634, 0.145),
    761: (0, 17, 6634, 0.102), 772: (0, 13, 1764, 0.0087), 797: (0, 11, 810, 0.0122), 799: (0, 11, 810, 0.0036),
    803: (0, 17, 5774, 0.0166), 806: (0, 11, 810, 0.0117), 807: (0, 17, 6634, 0.0229), 813: (0, 11, 810, 0.0033),
    816: (0, 17, 6634, 0.0251), 819: (0, 17, 7708, 0.0507), 821: (0, 21, 18454, 0.0442), 822: (0, 21, 16718, 0.134),
    823: (0, 21, 16718, 0.12), 833: (0, 17, 6634, 0.115), 837: (0, 11, 810, 0.0111), 843: (0, 21, 18454, 0.0336),
    845: (0, 11, 810, 0.0048), 846: (0, 19, 13445, 0.162), 847: (0, 17, 5324, 0.0452), 849: (0, 11, 810, 0.0059),
    866: (0, 11, 810, 0.01), 871: (0, 15, 3116, 0.0222), 881: (0, 23, 33021, 0.458), 897: (0, 11, 939, 0.0116),
    901: (0, 23, 33021, 0.0734), 903: (0, 11, 810, 0.0082), 904: (0, 11, 810, 0.0085), 910: (0, 11, 810, 0.0053),
    912: (0, 11, 810, 0.0034), 913: (0, 11, 810, 0.00585), 914: (0, 13, 1620, 0.0031), 917: (0, 11, 810, 0.0077),
    923: (0, 17, 6998, 0.0297), 930: (0, 13, 1053, 0.0224), 934: (0, 11, 936, 0.0065), 953: (0, 15, 2583, 0.0799),
    958: (0, 13, 1871, 0.0096), 959: (0, 19, 10497, 0.027), 962: (0, 13, 1620, 0.0173), 966: (0, 13, 1085, 0.0074),
    971: (0, 13, 1620, 0.00875), 976: (0, 17, 8067, 0.0914), 977: (0, 19, 16200, 0.413), 978: (0, 13, 1620, 0.0726),
    979: (0, 15, 4050, 0.0459), 980: (0, 17, 4552, 0.0478), 991: (0, 13, 1399, 0.004), 993: (0, 17, 5685, 0.12),
    995: (0, 13, 1620, 0.0124), 1000: (0, 15, 3054, 0.0693), 1002: (0, 17, 6062, 0.217), 1018: (0, 17, 7163, 0.566),
    1019: (0, 19, 8902, 0.0898), 1020: (0, 13, 1620, 0.0213), 1021: (0, 17, 4432, 0.161), 1036: (0, 19, 11659, 0.464),
    1040: (0, 19, 11659, 0.245), 1041: (0, 15, 2808, 1.14), 1042: (0, 15, 2808, 0.559), 1049: (0, 13, 1180, 0.0334),
    1050: (0, 13, 1265, 0.0288), 1053: (0, 19, 8816, 0.0618), 1056: (1, 17, 7667, 0.0877),
    1067: (0, 13, 1708, 0.00985), 1068: (0, 11, 898, 0.0118), 1069: (5, 17, 4527, 0.0287), 1083: (0, 7, 172, 1.3),
    1084: (0, 7, 178, 0.496), 1085: (0, 6, 128, 0.763), 1086: (0, 7, 228, 1.35), 1087: (0, 7, 228, 1.28),
    1088: (0, 9, 309, 4.19), 1111: (0, 23, 40500, 4.57), 1112: (0, 23, 40500, 3.87), 1114: (0, 23, 40500, 3.79),
    1116: (0, 17, 5344, 0.587), 1119: (0, 21, 26373, 0.477), 1120: (0, 19, 15406, 0.247), 1128: (0, 13, 1251, 3.02),
    1130: (0, 13, 1251, 2.5), 1134: (0, 13, 1251, 2.29), 1138: (0, 13, 1251, 2.7), 1139: (0, 13, 1251, 2.29),
    1142: (0, 13, 1251, 1.97), 1146: (0, 13, 1251, 1.14), 1161: (0, 13, 1251, 2.91), 1166: (0, 13, 1251, 3.64),
    1216: (0, 33, 1486391, 14.2), 1233: (0, 11, 765, 2.81), 1235: (0, 31, 990000, 6.48), 1236: (0, 31, 990000, 1.14),
    1441: (0, 5, 99, 0.0013), 1448: (0, 7, 156, 0.002), 1450: (0, 5, 100, 0.0014), 1457: (0, 13, 1215, 9.64),
    1461: (0, 23, 36620, 2.64), 1464: (0, 11, 605, 0.0166), 1465: (0, 5, 85, 0.0024), 1468: (0, 11, 874, 0.151),
    1475: (0, 17, 4955, 0.269), 1477: (0, 19, 11267, 1.28), 1479: (0, 11, 981, 0.0411), 1483: (0, 27, 154860, 1.93),
    1485: (0, 15, 2106, 0.46), 1486: (0, 21, 27916, 2.07), 1487: (0, 15, 2052, 0.0475), 1488: (0, 7, 157, 0.00165),
    1489: (0, 17, 4376, 0.013), 1494: (0, 11, 854, 0.0106), 1499: (0, 7, 170, 0.0027), 1503: (0, 27, 253256, 11.7),
    1509: (0, 27, 139332, 0.337), 1515: (0, 9, 461, 0.174), 1566: (0, 11, 981, 0.0442), 1567: (0, 31, 1015009, 2.2),
    1575: (0, 27, 181681, 1.41), 1590: (0, 23, 39561, 0.807), 1592: (0, 25, 98000, 292), 1597: (6, 29, 274807, 1.74),
    4134: (0, 15, 3037, 1.44), 4135: (0, 21, 26542, 0.701), 4137: (0, 11, 931, 6.59), 4534: (0, 19, 8954, 0.178),
    4538: (0, 17, 7996, 0.185), 4541: (0, 25, 91766, 6.13), 23512: (0, 25, 88050, 0.384), 23517: (0, 25, 86320, 0.28),
    40498: (0, 15, 3967, 0.0364), 40664: (0, 13, 1399, 0.0399), 40668: (0, 23, 57557, 2.48),
    40670: (0, 15, 2580, 0.401), 40672: (0, 25, 90968, 2.53), 40677: (0, 15, 2592, 0.271),
    40685: (0, 23, 48000, 0.596), 40687: (0, 11, 863, 0.0374), 40701: (0, 15, 4050, 0.262),
    40713: (0, 15, 3054, 0.0576), 40900: (0, 17, 4131, 0.0493), 40910: (0, 15, 2985, 0.176),
    40971: (0, 11, 810, 0.0406), 40975: (0, 13, 1399, 0.012), 40978: (0, 15, 2655, 2), 40981: (0, 11, 558, 0.0051),
    40982: (0, 13, 1571, 0.0436), 40983: (0, 15, 3919, 0.09), 40984: (0, 13, 1871, 0.0438),
    40994: (0, 9, 437, 0.0037), 40996: (0, 23, 60000, 21.4), 41027: (0, 23, 36303, 0.357), 41142: (0, 17, 4388, 6.88),
    41143: (0, 15, 2416, 0.257), 41144: (0, 15, 2543, 0.183), 41145: (0, 17, 4723, 0.501),
    41146: (0, 17, 4149, 0.0517), 41150: (0, 25, 120064, 9.37), 41156: (0, 15, 3358, 0.037),
    41157: (0, 5, 81, 0.0495), 41158: (0, 15, 2553, 0.728), 41159: (0, 19, 16200, 29.3), 41161: (0, 19, 16200, 27.7),
    41163: (0, 17, 8100, 9.59), 41164: (0, 17, 6671, 2.73), 41165: (0, 17, 8100, 41.7), 41166: (0, 23, 48310, 5.26),
    41167: (0, 29, 406188, 405), 41168: (0, 25, 73733, 4.42), 41169: (0, 23, 55196, 6.38),
    41228: (0, 31, 971541, 3.3), 41972: (0, 17, 7406, 1.48), 42732: (0, 35, 2205023, 5.06),
    42733: (0, 21, 32357, 1.67), 42734: (0, 23, 41139, 2.65), 42742: (0, 31, 585212, 2.57),
    42769: (0, 31, 990000, 3.51), 42809: (0, 11, 810, 6.62), 42810: (0, 15, 3240, 17.5),
}  # fmt: skip
"""Of each data set, by its number at OpenML: of the half powers of 2 from 16 on the place of the first and the place
after the last, the largest training set, and the median seconds of a training on it."""

SPACE = Space({"learner": choice(list(LEARNERS))})


def _sizes(begin: int, end: int, largest: int) -> tuple[int, ...]:
    """The sizes of training sets of a data set."""
    return (*(round(SMALLEST * 2 ** (step / 2)) for step in range(begin, end)), largest)


BENCHMARKS = tuple(
    Benchmark(
        f"lcdb_{number}",
        SPACE,
        (Objective("val_accuracy", maximize=True),),
        Fidelity("sample", _sizes(begin, end, largest), continues=False),
        budget=TRAININGS * seconds / WORKERS,
        workers=WORKERS,
        test_metric="test_accuracy",
    )
    for number, (begin, end, largest, seconds) in DATA_SETS.items()
)


def find() -> Path:
    """The folder of the installed package; FileNotFoundError that says how to get it."""
    found = find_spec("lcdb")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(
            f"the package lcdb is not installed: `pip install lcdb==0.1.0`, or `fetch lcdb --from FOLDER` with {FILE}"
        )
    return Path(next(iter(found.submodule_search_locations)))


def convert(source: Path, target: Path) -> None:
    """Convert every data set; ValueError where the file is not the published one."""
    import pandas as pd

    frame = pd.read_csv(_converted.checked(source / FILE, SHA256))
    by_number = dict(iter(frame.groupby("openmlid")))
    for number, benchmark in zip(DATA_SETS, BENCHMARKS, strict=True):
        _convert(benchmark, by_number[number], target / benchmark.name)


def _convert(benchmark: Benchmark, frame: Any, folder: Path) -> None:
    levels = np.array(benchmark.fidelity.levels)
    frame = frame[frame["inner_seed"] < SPLITS]
    place = (
        np.array([list(LEARNERS.values()).index(name) for name in frame["learner"]]),
        (frame["outer_seed"] * SPLITS + frame["inner_seed"]).to_numpy(),
        np.searchsorted(levels, frame["size_train"]),
    )
    shape = (len(LEARNERS), SPLITS**2, len(levels))
    values, seconds = np.full((*shape, len(METRICS)), np.nan), np.full(shape, np.nan)
    values[place] = frame[list(METRICS.values())]
    seconds[place] = frame["traintime"]
    there = np.isfinite(seconds)
    begun, lengths = there.any(axis=2), there.sum(axis=2)
    whole = begun & (there == (np.arange(len(levels)) < lengths[..., None])).all(axis=2)
    values[~whole], seconds[~whole] = np.nan, np.nan
    ends = np.where(lengths == len(levels), ENDS.index(End.COMPLETE), ENDS.index(End.EARLY))
    rows = np.flatnonzero(whole.any(axis=1))
    configs: list[Config] = [{"learner": list(LEARNERS)[row]} for row in rows]
    gone = int((begun & ~whole).sum())
    made = {
        "licence": LICENCE,
        "citation": CITATION,
        "source": PACKAGE,
        "sha256": {FILE: SHA256},
        "missing": f"{gone} of {begun.sum()} replicates lack a size and are left out; "
        f"{len(LEARNERS) - len(rows)} of {len(LEARNERS)} learners have none",
        "left_out": gone,
        "seconds": "measured: the time of each training",
    }
    _converted.save(
        folder, benchmark, metrics=tuple(METRICS), seeds=range(SPLITS**2), values=values[rows], seconds=seconds[rows],
        ends=np.where(whole, ends, -1)[rows].astype(np.int8), made=made, configs=configs,
    )  # fmt: skip


def load(name: str) -> CurveModel:
    """The table of one data set."""
    return _converted.load("lcdb", next(one for one in BENCHMARKS if one.name == name))
