# SPDX-License-Identifier: Apache-2.0
"""The benchmark on real people's data holds what it checks."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.real_data
def test_nemig_a_lift_is_amplified_and_a_retrain_is_not_failed(root: Path, real_data: Path) -> None:
    run = subprocess.run(
        [sys.executable, "benchmarks/nemig.py", "--data", str(real_data / "nemig-de"), "--seconds", "inf"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()[1:]
    assert len(lines) == 6
    assert all(line.endswith("ok") for line in lines)
