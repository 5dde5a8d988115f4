# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from shortvideo.catalogue import read_catalogue

CREATORS = "creator_id,handle,source,country,language\nc1,ana.cooks,personal,ES,es\nc2,daily.post,press,GB,en\n"


def write(folder: Path, clips: str) -> tuple[Path, Path]:
    (folder / "clips.csv").write_text("clip_id,creator_id,language,topic,published_hour,seconds,completion\n" + clips)
    (folder / "creators.csv").write_text(CREATORS)
    return folder / "clips.csv", folder / "creators.csv"


def test_a_clip_takes_country_and_source_from_its_creator(tmp_path: Path) -> None:
    catalogue = read_catalogue(*write(tmp_path, "v1,c2,en,world,10,30,0.5\nv2,c1,es,food,12,20,0.25\n"))
    assert catalogue.country.tolist() == ["GB", "ES"]
    assert catalogue.source.tolist() == ["press", "personal"]
    assert catalogue.newest == 12


def test_an_unknown_creator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="c9"):
        read_catalogue(*write(tmp_path, "v1,c9,en,world,10,30,0.5\n"))
