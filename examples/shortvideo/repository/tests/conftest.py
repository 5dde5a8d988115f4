# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from shortvideo.catalogue import Catalogue


@pytest.fixture
def catalogue() -> Catalogue:
    """Six clips by three creators; the last clip is the newest."""
    creator = np.array([0, 0, 0, 1, 1, 2])
    return Catalogue(
        clip_ids=("v0", "v1", "v2", "v3", "v4", "v5"),
        position={f"v{number}": number for number in range(6)},
        creator_ids=("c0", "c1", "c2"),
        creator=creator,
        source=np.array(["personal", "press", "studio"])[creator],
        country=np.array(["DE", "FR", "DE"])[creator],
        language=np.array(["de", "fr", "de"])[creator],
        published=np.array([900, 950, 980, 990, 996, 1000]),
        completion=np.full(6, 0.5),
    )
