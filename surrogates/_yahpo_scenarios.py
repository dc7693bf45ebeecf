"""The scenarios of YAHPO Gym: in which order their networks take their inputs, and what their outputs mean.

Orders of inputs and outputs are those of yahpo_gym 1.0.2, and of its repository for `fair_*`: the networks themselves
name neither, and another order would run and predict nonsense. Directions are ours where the package errs: it
minimises the F1 of `rbv2_*`. What ranges are possible is ours, too. Spaces and codes of categories are in each
scenario's files.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import NamedTuple

LICENCE = "Apache-2.0"
YAHPO = "Pfisterer et al., YAHPO Gym: An Efficient Multi-Objective Multi-Fidelity Benchmark for HPO, 2022"


class Output(NamedTuple):
    """A number that a network predicts: what is possible, and whether more is better."""

    lowest: float = 0.0
    highest: float = inf
    maximize: bool = False


class Scenario(NamedTuple):
    """What a network is fed, and what it says, both in its order.

    categories, numbers: its inputs; instance: the hyperparameter that names the data set, an input or not; fidelity:
    the number that is the level; seconds: the output that tells the time, of which `continues` says whether it is
    counted on from level to level; held: inputs that are not searched; left_out: outputs that are no metrics.
    """

    categories: tuple[str, ...]
    numbers: tuple[str, ...]
    outputs: Mapping[str, Output]
    instance: str
    fidelity: str
    objective: str
    seconds: str
    citation: str
    continues: bool = False
    test_metric: str | None = None
    held: Mapping[str, float] = {}
    left_out: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The outputs that are metrics."""
        return tuple(name for name in self.outputs if name not in self.left_out)


SHARE, LOSS, AMOUNT = Output(0.0, 1.0, maximize=True), Output(0.0, 1.0), Output()

# -- networks of Auto-PyTorch, 52 epochs -------------------------------------------------------------------------------

LCBENCH = Scenario(
    categories=("OpenML_task_id",),
    numbers=(
        "epoch", "batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout",
    ),
    outputs={
        "time": AMOUNT,
        "val_accuracy": Output(0.0, 100.0, maximize=True),
        "val_cross_entropy": AMOUNT,
        "val_balanced_accuracy": SHARE,
        "test_cross_entropy": AMOUNT,
        "test_balanced_accuracy": SHARE,
    },
    instance="OpenML_task_id",
    fidelity="epoch",
    objective="val_balanced_accuracy",
    seconds="time",
    citation="Zimmer et al., Auto-PyTorch: Multi-Fidelity MetaLearning for Efficient and Robust AutoDL, 2021",
    continues=True,
    test_metric="test_balanced_accuracy",
    left_out=("time", "test_cross_entropy"),
)  # fmt: skip

# -- cells of DARTS on CIFAR-10, 98 epochs -----------------------------------------------------------------------------

DARTS = "NetworkSelectorDatasetInfo_COLON_darts_COLON_"
NB301 = Scenario(
    categories=(
        *(f"{DARTS}edge_{cell}_{edge}" for cell in ("normal", "reduce") for edge in range(14)),
        *(f"{DARTS}inputs_node_{cell}_{node}" for cell in ("normal", "reduce") for node in (3, 4, 5)),
    ),
    numbers=("epoch",),
    outputs={"val_accuracy": Output(0.0, 100.0, maximize=True), "runtime": AMOUNT},
    instance="dataset",
    fidelity="epoch",
    objective="val_accuracy",
    seconds="runtime",
    citation="Siems et al., NAS-Bench-301 and the Case for Surrogate Benchmarks for NAS, 2020",
    continues=True,
)

# -- learners of mlr3 on parts of their training data ------------------------------------------------------------------

RBV2 = Scenario(
    categories=(),
    numbers=(),
    outputs={
        "acc": SHARE, "bac": SHARE, "auc": SHARE, "brier": Output(0.0, 2.0), "f1": SHARE, "logloss": AMOUNT,
        "timetrain": AMOUNT, "timepredict": AMOUNT, "memory": AMOUNT,
    },
    instance="task_id",
    fidelity="trainsize",
    objective="acc",
    seconds="timetrain",
    citation="Binder et al., Collecting Empirical Data About Hyperparameters for Data Driven AutoML, 2020",
    held={"repl": 10},
)  # fmt: skip
IAML = RBV2._replace(
    outputs={
        "mmce": LOSS, "f1": SHARE, "auc": SHARE, "logloss": AMOUNT, "ramtrain": AMOUNT, "rammodel": AMOUNT,
        "rampredict": AMOUNT, "timetrain": AMOUNT, "timepredict": AMOUNT, "mec": AMOUNT, "ias": AMOUNT, "nf": AMOUNT,
    },
    objective="mmce",
    citation=YAHPO,
    held={},
)  # fmt: skip
FAIR = IAML._replace(
    outputs={
        "mmce": LOSS, "f1": SHARE, "feo": LOSS, "fpredp": LOSS, "facc": LOSS, "ftpr": LOSS, "ffomr": LOSS,
        "ffnr": LOSS, "timetrain": AMOUNT,
    },
)  # fmt: skip

BOOSTED = ("nrounds", "eta", "gamma", "lambda", "alpha", "subsample", "max_depth", "min_child_weight",
           "colsample_bytree", "colsample_bylevel")  # fmt: skip
XGBOOST = (*BOOSTED, "rate_drop", "skip_drop")
RPART = ("cp", "maxdepth", "minbucket", "minsplit")
GLMNET, AKNN = ("alpha", "s"), ("k", "M", "ef", "ef_construction")
SVM = ("cost", "gamma", "tolerance", "degree")
RANGER_RBV2 = ("num.trees", "sample.fraction", "mtry.power", "min.node.size", "num.random.splits")
RANGER_IAML = ("num.trees", "sample.fraction", "mtry.ratio", "min.node.size", "num.random.splits")
RANGER_FAIR = ("min.node.size", "mtry.ratio", "num.random.splits", "num.trees", "sample.fraction")
FOREST, IMPUTED = ("respect.unordered.factors", "splitrule"), "num.impute.selected.cpo"
UNFAIR = ("reweighing_os_alpha", "EoD_alpha")


def _of(learner: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The hyperparameters of a learner as a scenario of several learners names them."""
    return tuple(f"{learner}.{name}" for name in names)


def _rbv2(numbers: tuple[str, ...], *categories: str) -> Scenario:
    return RBV2._replace(categories=("task_id", *categories, IMPUTED), numbers=(*numbers, "trainsize", "repl"))


def _iaml(numbers: tuple[str, ...], *categories: str) -> Scenario:
    return IAML._replace(categories=("task_id", *categories), numbers=(*numbers, "trainsize"))


def _fair(numbers: tuple[str, ...], *categories: str) -> Scenario:
    return FAIR._replace(categories=categories, numbers=(*numbers, "trainsize"))


SCENARIOS: Mapping[str, Scenario] = {
    "lcbench": LCBENCH,
    "nb301": NB301,
    "rbv2_svm": _rbv2(SVM, "kernel"),
    "rbv2_ranger": _rbv2(RANGER_RBV2, *FOREST),
    "rbv2_rpart": _rbv2(RPART),
    "rbv2_glmnet": _rbv2(GLMNET),
    "rbv2_xgboost": _rbv2(XGBOOST, "booster"),
    "rbv2_aknn": _rbv2(AKNN, "distance"),
    "rbv2_super": _rbv2(
        (*_of("svm", SVM), *_of("glmnet", GLMNET), *_of("rpart", RPART), *_of("ranger", RANGER_RBV2),
         *_of("aknn", AKNN), *_of("xgboost", XGBOOST)),
        "learner_id", "svm.kernel", *_of("ranger", FOREST), "aknn.distance", "xgboost.booster",
    ),
    "iaml_ranger": _iaml(RANGER_IAML, "replace", *FOREST),
    "iaml_rpart": _iaml(RPART),
    "iaml_glmnet": _iaml(GLMNET),
    "iaml_xgboost": _iaml(XGBOOST, "booster"),
    "iaml_super": _iaml(
        (*_of("ranger", RANGER_IAML), *_of("rpart", RPART), *_of("glmnet", GLMNET), *_of("xgboost", XGBOOST)),
        "learner", "ranger.replace", *_of("ranger", FOREST), "xgboost.booster",
    ),
    "fair_fgrrm": _fair(("lambda", "unfairness"), "task_id", "definition"),
    "fair_rpart": _fair((*RPART, *UNFAIR), "task_id", "pre_post"),
    "fair_ranger": _fair((*RANGER_FAIR, *UNFAIR), "replace", *FOREST, "task_id", "pre_post"),
    "fair_xgboost": _fair((*BOOSTED, *UNFAIR), "booster", "task_id", "pre_post"),
    "fair_super": _fair(
        ("fgrrm.lambda", "fgrrm.unfairness", *_of("rpart", RPART), *_of("ranger", RANGER_FAIR),
         *_of("xgboost", BOOSTED), *UNFAIR),
        "fgrrm.definition", "ranger.replace", *_of("ranger", FOREST), "xgboost.booster", "learner", "task_id",
        "pre_post",
    ),
}  # fmt: skip
"""By the names of their folders in yahpo_data."""
