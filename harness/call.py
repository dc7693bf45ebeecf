"""Calls a function of a file as if it were a training script: `python -m harness.call FILE FUNCTION VALUES`.

So a function can be a trial: in a process of its own, with a reporter, stopped and resumed like any script. VALUES is
one JSON object, so that a function is given what the space holds: no text that looks like a number, no "False" that
counts as true.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path


def main() -> None:
    """Import the file under a name of its own, call the function with the values and a reporter."""
    from harness.report import Reporter

    file, function, values = sys.argv[1:]
    sys.path.insert(0, str(Path(file).parent))
    specification = importlib.util.spec_from_file_location("tuned_function", file)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # where a dataclass of the file looks for its own names
    specification.loader.exec_module(module)
    getattr(module, function)(**json.loads(values), report=Reporter())


if __name__ == "__main__":
    main()
