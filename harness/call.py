"""Calls a function of a file as if it were a training script: `python -m harness.call FILE FUNCTION --name=value ...`.

So a function can be a trial: in a process of its own, with a reporter, stopped and resumed like any script.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Read the values, import the file under a name of its own, call the function with them and a reporter."""
    from harness.report import Reporter

    file, function, *arguments = sys.argv[1:]
    values: dict[str, Any] = {}
    for argument in arguments:
        name, _, text = argument.removeprefix("--").partition("=")
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    sys.path.insert(0, str(Path(file).parent))
    specification = importlib.util.spec_from_file_location("tuned_function", file)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    getattr(module, function)(**values, report=Reporter())


if __name__ == "__main__":
    main()
