"""One of our own methods as a foreign program: whatever it decides over the pipe it must decide in the process."""

import json
import sys

import numpy as np

from harness.methods import build, parse_method
from harness.space import Space
from harness.types import Benchmark, Fidelity, Objective, Report, Status


def main() -> None:
    scheduler = None
    for line in sys.stdin:
        request = json.loads(line)
        if "study" in request:
            study = request["study"]
            fidelity = {**study["fidelity"], "levels": tuple(study["fidelity"]["levels"])}
            benchmark = Benchmark(
                study["name"],
                Space.from_json(study["space"]),
                tuple(Objective(**one) for one in study["objectives"]),
                Fidelity(**fidelity),
                budget=1.0,
                workers=study["workers"],
                resumable=study["resumable"],
            )
            method = parse_method(sys.argv[1])
            scheduler = build(method, benchmark, np.random.default_rng(study["seed"]))
            answer, known = {"ready": True}, set()
        elif "ask" in request:
            job = scheduler.ask()
            if job is None:
                answer = {"wait": True}
            elif job.trial in known:
                answer = {"trial": job.trial, "until": job.until}
            else:
                known.add(job.trial)
                answer = {"config": dict(job.config), "until": job.until}
        else:
            told = request["tell"]
            report = Report(
                told["trial"],
                told["resource"],
                tuple(map(float, told["losses"])),
                {name: float(value) for name, value in told["metrics"].items()},
                told["cost"],
                Status[told["status"].upper()],
            )
            answer = {"decision": scheduler.tell(report).name.lower()}
        print(json.dumps(answer), flush=True)


main()
