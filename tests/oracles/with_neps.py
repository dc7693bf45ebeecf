"""NePS's own loop: python with_neps.py SEED [prior | ifbo WEIGHTS]."""

import random
import sys
import tempfile
from pathlib import Path

import neps
import numpy as np
import torch
from _toy import loss, say

scale = 4 if "ifbo" in sys.argv else 1  # its losses must lie in [0, 1]
optimizer = ("ifbo", {"surrogate_path": sys.argv[-1]}) if "ifbo" in sys.argv else "priorband"
prior = {"prior": 0.01, "prior_confidence": "high"} if "prior" in sys.argv else {}


class Space(neps.PipelineSpace):
    rate = neps.Float(1e-4, 1.0, log=True, **prior)
    share = neps.Float(0.0, 1.0)
    epoch = neps.IntegerFidelity(1, 9)


tried = []


def objective(rate: float, share: float, epoch: int) -> float:
    config = {"rate": rate, "share": share}
    tried.append([config, epoch])
    return loss(config, epoch) / scale


seed = int(sys.argv[1])
random.seed(seed)
np.random.seed(seed)  # noqa: NPY002
torch.manual_seed(seed)
folder = Path(tempfile.mkdtemp()) / "run"  # which it makes itself
neps.run(objective, Space(), root_directory=folder, optimizer=optimizer, total_evaluations_to_spend=24)
say(tried)
