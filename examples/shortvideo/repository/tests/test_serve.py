# SPDX-License-Identifier: Apache-2.0
import pytest

from shortvideo.catalogue import read_catalogue
from shortvideo.retrieval import BLOCK, Model, read_model
from shortvideo.serve import Feed
from shortvideo.settings import CONFIG, read_ranking

ROOT = CONFIG.parent


@pytest.fixture(scope="module")
def feed() -> Feed:
    catalogue = read_catalogue(ROOT / "data" / "clips.csv", ROOT / "data" / "creators.csv")
    model: Model = read_model(ROOT / "models" / "als.npz")
    return Feed(catalogue, model, read_ranking())


def requests(feed: Feed, count: int) -> list[dict]:
    clips = feed._catalogue.clip_ids
    return [
        {
            "id": number,
            "user_id": f"u{number}",
            "history": [
                {"item_id": clips[(37 * number + 11 * step) % len(clips)], "event": "view"}
                for step in range(number % 30)
            ],
            "context": {"country": "DE", "language": "de", "account_age_days": number},
        }
        for number in range(count)
    ]


def test_slates_are_full_and_hold_nothing_twice_or_seen(feed: Feed) -> None:
    asked = requests(feed, 40)
    for request, slate in zip(asked, feed.recommend(asked, 20), strict=True):
        assert len(set(slate)) == 20
        assert not set(slate) & {event["item_id"] for event in request["history"]}


def test_a_short_slate_is_the_top_of_a_long_one(feed: Feed) -> None:
    asked = requests(feed, 10)
    assert feed.recommend(asked, 20) == [slate[:20] for slate in feed.recommend(asked, 100)]


def test_a_slate_does_not_depend_on_who_else_asks(feed: Feed) -> None:
    asked = requests(feed, BLOCK + 20)
    together = feed.recommend(asked, 50)
    assert [feed.recommend([request], 50)[0] for request in asked[::40]] == together[::40]


def test_more_than_the_candidates_is_refused(feed: Feed) -> None:
    with pytest.raises(ValueError, match="from 1 to 400"):
        feed.recommend(requests(feed, 1), 401)
