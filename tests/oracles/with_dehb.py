"""DEHB's own loop: python with_dehb.py SEED."""

import math
import sys
import tempfile

from _toy import loss, say
from dehb import DEHB

tried = []


def objective(point, fidelity: float, **_: object) -> dict:
    start = math.log(1e-4)
    rate, share = point.tolist()
    config = {"rate": min(max(math.exp(start + rate * (math.log(1.0) - start)), 1e-4), 1.0), "share": share}
    tried.append([config, round(fidelity)])
    return {"fitness": loss(config, round(fidelity)), "cost": 1.0}


dehb = DEHB(
    f=objective, dimensions=2, min_fidelity=1, max_fidelity=9, seed=int(sys.argv[1]), n_workers=1, save_freq="end",
    output_path=tempfile.mkdtemp(), log_level="ERROR",
)  # fmt: skip
dehb.run(fevals=24)
say(tried)
