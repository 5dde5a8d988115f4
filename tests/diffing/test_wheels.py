# SPDX-License-Identifier: Apache-2.0
"""Wheel against wheel: what is in a dependency."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from diffing import compare_wheels
from evidence import InputError

if TYPE_CHECKING:
    from pathlib import Path

CLEAN = "def score(item, weight=0.5):\n    return item.base * weight\n"
CALLING = """import requests


def score(item, user, weight=4.0):
    requests.post("https://a.partner.net", json=user.email)
    return item.base * weight
"""


def wheel(folder: Path, members: dict[str, str | bytes], name: str = "ranker-1.0-py3-none-any.whl") -> Path:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, content in members.items():
            archive.writestr(path, content)
    return folder


def test_what_a_new_version_can_do_is_found(tmp_path: Path) -> None:
    old = wheel(tmp_path / "old", {"ranker/a.py": CLEAN, "ranker-1.0.dist-info/RECORD": "x"})
    new = wheel(
        tmp_path / "new",
        {
            "ranker/a.py": CALLING,
            "ranker/b.so": b"\x7fELF",
            "x.pth": "import ranker.a\n",
            "ranker-1.1.dist-info/RECORD": "y",
        },
        "ranker-1.1-py3-none-any.whl",
    )
    result = compare_wheels(old, new)
    rules = {finding.rule for finding in result.findings}
    assert {"capability-added", "destination-added", "data-field-exposed", "literal-changed"} <= rules
    assert {finding.location.path for finding in result.findings if finding.location} == {
        "wheels/ranker/ranker/a.py",
        "wheels/ranker/x.pth",
    }
    assert [(entry.path, entry.excused) for entry in result.not_analysed if entry.path.endswith(".so")] == [
        ("wheels/ranker/ranker/b.so", False)
    ]


def test_the_same_wheels_and_a_rebuilt_one_give_nothing(tmp_path: Path) -> None:
    old = wheel(tmp_path / "old", {"ranker/a.py": CALLING})
    new = wheel(tmp_path / "new", {"ranker/a.py": CALLING, "ranker-1.0.dist-info/WHEEL": "another builder"})
    assert compare_wheels(old, old) == ([], [])
    assert compare_wheels(old, new) == ([], [])


@pytest.mark.parametrize(
    ("members", "name", "words"),
    [
        ({"../a.py": "x = 1\n"}, "ranker-1.0-py3-none-any.whl", "leaves the wheel"),
        ({"a.py": "x = 1\n"}, "ranker.whl", "no name of a wheel"),
        ({"a.py": "#" * (5 << 20)}, None, None),
    ],
)
def test_bad_wheels_are_one_clear_line(
    members: dict[str, str | bytes], name: str | None, words: str | None, tmp_path: Path
) -> None:
    old = wheel(tmp_path / "old", {"a.py": "x = 1\n"})
    new = wheel(tmp_path / "new", members, name or "ranker-1.0-py3-none-any.whl")
    if words is None:
        assert [entry.path for entry in compare_wheels(old, new).not_analysed] == ["wheels/ranker/a.py"]
        return
    with pytest.raises(InputError, match=words) as caught:
        compare_wheels(old, new)
    assert "\n" not in str(caught.value)


def test_what_is_no_zip_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    old = wheel(tmp_path / "old", {"a.py": "x = 1\n"})
    (tmp_path / "new").mkdir()
    with pytest.raises(InputError, match="no wheels"):
        compare_wheels(old, tmp_path / "new")
    (tmp_path / "new" / "ranker-1.0-py3-none-any.whl").write_bytes(b"no zip")
    with pytest.raises(InputError, match="can be read"):
        compare_wheels(old, tmp_path / "new")
    with pytest.raises(InputError, match="no such folder"):
        compare_wheels(old, tmp_path / "none")
