"""Which GPUs the trials of this machine may use. Imports nothing of ours, and no CUDA."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping

GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"


def visible_devices(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The GPUs that trials may use, as `CUDA_VISIBLE_DEVICES` names them (a number, a GPU's or a MIG slice's UUID)."""
    given = environment.get(GPU_VARIABLE)
    if given is not None:
        names = [name.strip() for name in given.split(",")]
        # As CUDA reads it: whatever stands after an invalid name is not visible.
        end = next((i for i, name in enumerate(names) if name in ("", "-1", "NoDevFiles")), len(names))
        return tuple(names[:end])
    program = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if program is None:
        return ()
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, timeout=30, check=True, text=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    devices: list[str] = []
    sliced = False
    for line in listed.splitlines():
        name = line.rpartition("UUID: ")[2].rstrip(" )")
        if name.startswith("MIG-"):
            # A GPU that is cut into slices can be used only by them.
            if not sliced and devices:
                devices.pop()
            devices.append(name)
            sliced = True
        elif name.startswith("GPU-"):
            devices.append(name)
            sliced = False
    return tuple(devices)
