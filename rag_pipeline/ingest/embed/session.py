"""Open a model with onnxruntime, on one thread and without a memory pool."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

# 8-bit products without overflow and at full speed need these; the x86 extensions are named VNNI.
_FAST_X86 = frozenset({"avx512_vnni", "avx_vnni"})


def open_session(model: bytes | str) -> Any:
    """Return an inference session for a model's bytes or path; raises onnxruntime's exceptions.

    A call runs on the caller's thread and releases the GIL. Parallelism comes from several callers. The memory pool
    would keep the peak of each thread for good.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def has_fast_eight_bits() -> bool:
    """Return whether this processor multiplies 8-bit numbers fast and exactly: x86 with VNNI, or arm64."""
    machine = platform.machine().lower()
    if machine in ("arm64", "aarch64"):
        return True
    if sys.platform != "linux":
        return False
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return not _FAST_X86.isdisjoint(flags.split())
