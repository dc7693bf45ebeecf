"""What runs in an optimiser's own process: reads requests, calls the adapter, writes answers.

Started as `python _child.py ADAPTER.py`, in an environment that has the optimiser's library and nothing of ours. An
adapter is a file of functions; the one that `method` names makes an optimiser from the study and its options:
`ask(trial)` and `take(trial, config)` give a job, `tell(report)` a decision, as README.md states them. Where the
library cannot do what the study needs, the function raises NotImplementedError, at a bad option ValueError, in words.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def adapter_in(path: Path) -> ModuleType:
    """The module of an adapter's file, which finds `harness.foreign._*` beside it and nothing else of ours."""
    for name, places in (("harness", []), ("harness.foreign", [str(path.parent)])):
        package = ModuleType(name)
        package.__path__ = places
        sys.modules[name] = package
    specification = importlib.util.spec_from_file_location(f"harness.foreign.{path.stem}", path)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def seed_everything(seed: int) -> None:
    """Set every random state that a library may draw from behind our back, as in a fresh process."""
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % 2**32)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


def begin(module: ModuleType, study: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """An optimiser for a study, and the answer that says so, or why there is none."""
    seed_everything(study["seed"])
    try:
        return getattr(module, study["method"])(study, **study["options"]), {"ready": True, "takes": True}
    except NotImplementedError as reason:
        return None, {"not_applicable": str(reason)}
    except ValueError as reason:
        return None, {"bad_option": str(reason)}


def serve(module: ModuleType, requests: Any, answers: Any) -> None:
    """Answer requests until there are no more."""
    optimiser: Any = None
    for line in requests:
        request = json.loads(line)
        if "study" in request:
            optimiser, answer = begin(module, request["study"])
        elif "tell" in request:
            report = request["tell"]
            report["losses"] = [float(loss) for loss in report["losses"]]
            answer = {"decision": optimiser.tell(report)}
        elif "config" in request:
            answer = optimiser.take(request["ask"], request["config"])
        else:
            answer = optimiser.ask(request["ask"])
        # A library's numbers are numpy's; each knows what it is in Python.
        answers.write(json.dumps(answer, allow_nan=False, default=lambda number: number.item()) + "\n")
        answers.flush()


def main() -> None:
    """Serve the adapter that the command line names; what its library prints goes to the standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(adapter_in(Path(sys.argv[1])), sys.stdin, answers)
    os._exit(0)  # nothing is worth the second that a large library takes to be torn down


if __name__ == "__main__":
    main()
