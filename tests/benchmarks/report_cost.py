"""What the report of a comparison costs: processor seconds, the most memory, and bytes by kind of file.

    python -m harness fetch nmt_transformer
    python -m harness compare --methods rs,sobol,de,rea,tpe,cmaes,median,asha,asha-stop,hyperband \\
        --benchmarks multi-fidelity/development --seeds 20 --out results/large
    python tests/benchmarks/report_cost.py results/large [--brief]

Ten methods on twenty benchmarks with twenty seeds must stay below 60 s on two cores, 1 GB, and 5 MB beside the plotting
script.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

SCRIPT = "plotly.min.js"
MB = 1e6


def kinds(folder: Path) -> Counter[str]:
    """The bytes of a report's files: of its first folder by name, of the others by folder and suffix."""
    found: Counter[str] = Counter()
    for path in folder.rglob("*"):
        if path.is_file():
            kind = path.name if path.parent == folder else f"{path.relative_to(folder).parts[0]}: {path.suffix}"
            found[kind] += path.stat().st_size
    return found


def main() -> None:
    """Write the report once, in a process of its own, and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of a comparison")
    parser.add_argument("--brief", action="store_true", help="of the report that is kept beside code")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        began, out = time.perf_counter(), Path(name) / "report"
        command = [sys.executable, "-m", "harness", "report", str(arguments.folder), "--out", str(out)]
        command += ["--brief"] if arguments.brief else []
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        found = kinds(out)
    seconds, most = used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / MB
    print(f"{seconds:.1f} s of processor time in {took:.1f} s, {most:.0f} MB")
    for kind, size in found.most_common():
        print(f"{size / MB:8.3f} MB  {kind}")
    print(f"{(found.total() - found[SCRIPT]) / MB:8.3f} MB  all beside {SCRIPT}")


if __name__ == "__main__":
    main()
