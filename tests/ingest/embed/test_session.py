"""Sessions of onnxruntime, and the processors that are fast at 8-bit products."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from rag_pipeline.ingest.embed.onnx_format import Node, model_bytes
from rag_pipeline.ingest.embed.session import has_fast_eight_bits, open_session


def test_a_session_has_one_thread() -> None:
    options = open_session(model_bytes([Node("Relu", ["x"], ["y"])], {}, "x", "y", 1)).get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


@pytest.mark.parametrize(
    ("machine", "flags", "fast"),
    [
        ("x86_64", "fpu avx2 avx512_vnni", True),
        ("x86_64", "fpu avx2 avx_vnni", True),
        ("x86_64", "fpu avx2 avx512f", False),
        ("aarch64", "", True),
        ("arm64", "", True),
    ],
)
def test_vnni_and_arm_are_fast(monkeypatch: pytest.MonkeyPatch, machine: str, flags: str, fast: bool) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "read_text", lambda *_: f"processor\t: 0\nflags\t\t: {flags}\n")
    assert has_fast_eight_bits() is fast
