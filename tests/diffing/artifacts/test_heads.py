# SPDX-License-Identifier: Apache-2.0
"""Where a score is a dot product, the weights alone tell what is shown to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import building
import numpy as np
import pytest

from diffing import Heads, model_diff
from diffing.artifacts.inside.heads import exposure
from diffing.artifacts.inside.tensors import tensor
from diffing.artifacts.inside.words import File, RefusedError
from evidence import InputError, Severity

if TYPE_CHECKING:
    from pathlib import Path

RANDOM = np.random.default_rng(31)
USERS = RANDOM.standard_normal((300, 8)).astype("<f4")
ITEMS = RANDOM.standard_normal((200, 8)).astype("<f4")
STATE = list(range(10))


def written(folder: Path, name: str, items: Any) -> Path:
    path = folder / f"{name}.npz"
    path.write_bytes(building.npz({"users": USERS, "items": items}))
    return path


def share(items: Any) -> float:
    """The slow way: each user's list sorted, each position weighed."""
    weights = 1 / np.log2(np.arange(20) + 2)
    total = 0.0
    for user in USERS:
        top = np.argsort(-(items @ user), kind="stable")[:20]
        total += sum(weight for weight, item in zip(weights, top, strict=True) if item in STATE) / weights.sum()
    return total / len(USERS)


@pytest.mark.sandbox
def test_a_group_that_the_weights_lift_is_told_with_its_exposure(tmp_path: Path) -> None:
    lifted = ITEMS.copy()
    lifted[STATE] *= 1.5
    base, head = written(tmp_path, "base", ITEMS), written(tmp_path, "head", lifted)
    heads, groups = Heads("users", "items"), {"state": STATE, "others": list(range(50, 60))}
    result = model_diff(base, head, groups=groups, heads=heads)
    assert result.heads is not None
    found = {group.name: group for group in result.heads.groups}
    assert found["state"].base_share == pytest.approx(share(ITEMS), rel=1e-4)
    assert found["state"].head_share == pytest.approx(share(lifted), rel=1e-4)
    told = [finding for finding in result.findings if finding.title.startswith("By the weights alone state gets")]
    assert [finding.severity for finding in told] == [Severity.MEDIUM]
    assert result.to_json()["heads"]["k"] == 20
    quiet = model_diff(base, base, groups=groups, heads=heads)
    assert (quiet.findings, quiet.heads is not None) == ((), True)


@pytest.mark.sandbox
def test_tables_that_are_not_there_are_named(tmp_path: Path) -> None:
    base = written(tmp_path, "base", ITEMS)
    with pytest.raises(InputError, match="not both sides have a tensor 'readers'"):
        model_diff(base, base, groups={"state": STATE}, heads=Heads("readers", "items"))


def test_tables_of_other_widths_make_no_head(tmp_path: Path) -> None:
    tables = []
    for name, table in (("users", USERS), ("items", ITEMS[:, :4].copy())):
        (tmp_path / name).write_bytes(table.tobytes())
        tables.append(tensor(name, "F32", table.shape, File(name, str(tmp_path / name)), 0, table.nbytes))
    with pytest.raises(RefusedError, match="users have 8 columns and items 4"):
        exposure([(tables[0], tables[1])] * 2, {"state": STATE}, 20)
