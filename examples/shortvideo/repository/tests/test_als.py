# SPDX-License-Identifier: Apache-2.0
import numpy as np

from shortvideo import als

SETTINGS = als.Settings(factors=4, sweeps=6, regularisation=0.1, confidence=10.0, seed=1)


def two_tastes() -> als.Views:
    """Forty viewers; the first half watch clips 0 to 9, the others 10 to 19, each all but one."""
    everything = [(viewer, clip) for viewer in range(40) for clip in range(20)]
    pairs = [(viewer, clip) for viewer, clip in everything if viewer // 20 == clip // 10 and clip % 10 != viewer % 10]
    viewer, clip = np.array(pairs).T
    return als.Views(viewer, clip, np.ones(viewer.size))


def test_clips_watched_together_end_up_together() -> None:
    factors = als.factorise(two_tastes(), 40, 20, SETTINGS)
    likeness = factors @ factors.T
    assert likeness[:10, :10].mean() > 3 * abs(likeness[:10, 10:]).mean()


def test_training_twice_gives_the_same_model() -> None:
    first, second = (als.factorise(two_tastes(), 40, 20, SETTINGS) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_solution_has_no_gradient() -> None:
    rng = np.random.default_rng(3)
    fixed = rng.normal(size=(12, 4))
    gram = fixed.T @ fixed + 0.5 * np.eye(4)
    rows, weight = np.array([[1, 5, 7]]), np.array([[2.0, 3.0, 0.0]])
    found = als.solve(fixed, gram, rows, weight)[0]
    confidence, wanted = np.ones(12), np.zeros(12)
    confidence[[1, 5]] += [2.0, 3.0]
    wanted[[1, 5]] = 1.0
    gradient = fixed.T @ (confidence * (fixed @ found - wanted)) + 0.5 * found
    np.testing.assert_allclose(gradient, 0.0, atol=1e-10)
