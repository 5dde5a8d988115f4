# SPDX-License-Identifier: Apache-2.0
"""A text classifier that says how sure it is: words and characters, logistic regression, calibrated out of fold.

1. Texts become counts of hashed words and pairs of words, and of runs of 3 to 5 characters within words.
2. Per fold, TF-IDF (logarithmic counts) and a logistic regression are fitted on the other folds; the fold's scores are
   *out of fold*. Examples of one group (an outlet, an author; else the same text) are never on both sides.
3. Platt's calibration (1999, with his smoothed targets) is fitted on the out-of-fold scores.
4. The model of all examples, calibrated, gives the labels; a text that is an example itself has the label of the fold
   it was held out in, since a model knows what it was told better than anything else. The model of each fold gives
   labels once more, and the calibration is fitted again to groups drawn with replacement: what labels would have been
   with other examples.

Quality is of labels calibrated without the fold they are judged on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse, special
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from behavior._random import keyed
from evidence import PanelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

CALIBRATIONS = 50
TEXT_LIMIT = 5000  # characters of a text that are read

_WORDS, _CHARACTERS = 1 << 19, 1 << 19  # hashed columns
_WORD = r"(?u)\b\w+\b"
_LOOSE = 1.5  # examples a group, below which groups are mostly single examples
_STRENGTH = 10.0  # of the fit against the penalty; texts are short and features many
_BINS = 10
_SMALLEST = 1e-6
_CHANCE = 0.5  # the area under the curve of scores that say nothing


@dataclass(frozen=True, slots=True)
class Examples:
    """Labelled texts; ``groups`` numbers what must not be split between fitting and judging."""

    texts: Sequence[str]
    labels: Flags
    groups: Integers


@dataclass(frozen=True, slots=True)
class Bin:
    """Examples with labels alike: their mean label, the share that is true, how many."""

    label: float
    share: float
    examples: int


@dataclass(frozen=True, slots=True)
class Quality:
    """How good labels are, out of fold. ``calibration_error`` is the mean gap between label and share over the bins."""

    average_precision: float
    roc_auc: float
    brier: float
    calibration_error: float
    curve: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Learnt:
    """Labels of texts, and what they would have been: by the model of each fold, and by other calibrations.

    ``by_fold`` is folds x texts. ``calibrations`` are (slope, offset) of the label's logit. ``known`` is the share of
    a text's words that were met in training, of the texts and, out of fold, of the examples. ``among_examples`` counts
    texts that are examples themselves.
    """

    labels: Floats
    by_fold: Floats
    calibrations: tuple[tuple[float, float], ...]
    quality: Quality
    known: tuple[float, float]
    among_examples: int


def learn(examples: Examples, texts: Sequence[str], *, folds: int, seed: int, prevalence: float | None) -> Learnt:
    """Learn from examples and label texts. The same input gives the same labels.

    Args:
        examples: at least ``folds`` groups of each kind.
        texts: what to label.
        folds: how many parts are held out in turn.
        seed: which example is in which fold, and which groups a calibration draws.
        prevalence: the share of texts that is true, if it is known; else the examples'. Logits move by its log odds.

    Raises:
        PanelError: a fold leaves one kind of example only, or scores say nothing of the labels.
    """
    counts, wanted = _counts(examples.texts), _counts(texts)
    fold = _folds(examples, folds, seed)
    scores, known = np.zeros(len(fold)), np.zeros(len(fold))
    by_fold = []
    for number in range(folds):
        inside, outside = fold != number, fold == number
        model = _Model.fit(counts[inside], examples.labels[inside])
        scores[outside], known[outside] = model.score(counts[outside]), model.known(counts[outside])
        by_fold.append(model.score(wanted))
    place = {text: row for row, text in enumerate(examples.texts)}
    slope, offset = _calibration(scores, examples.labels)
    judged = np.zeros(len(fold))
    for number in range(folds):
        inside, outside = fold != number, fold == number
        fitted = _calibration(scores[inside], examples.labels[inside])
        judged[outside] = special.expit(fitted[0] * scores[outside] + fitted[1])
    quality = _quality(judged, examples.labels)
    if slope <= 0 or quality.roc_auc <= _CHANCE:
        raise PanelError(f"the examples teach nothing: out of fold their ROC AUC is {quality.roc_auc:.2f}")
    moved = 0.0 if prevalence is None else special.logit(prevalence) - special.logit(examples.labels.mean())
    whole = _Model.fit(counts, examples.labels)
    own = np.array([place.get(text, -1) for text in texts])
    known_to_all = own >= 0

    def unseen(raw: Floats) -> Floats:
        """A model's scores, but for examples themselves the one of the model that has not seen them."""
        return np.where(known_to_all, scores[own], raw)

    calibrations = []
    for again_slope, again_offset in _calibrations(scores, examples, seed):
        relative = again_slope / slope
        calibrations.append((relative, again_offset - offset * relative + moved * (1.0 - relative)))
    return Learnt(
        labels=_labels(slope * unseen(whole.score(wanted)) + offset + moved),
        by_fold=np.array([_labels(slope * unseen(raw) + offset + moved) for raw in by_fold]),
        among_examples=int(known_to_all.sum()),
        calibrations=tuple(calibrations),
        quality=quality,
        known=(float(whole.known(wanted).mean()), float(known.mean())),
    )


@dataclass(frozen=True, slots=True)
class _Model:
    """TF-IDF and logistic regression over the columns that at least two examples have."""

    columns: Integers
    weighting: Any
    regression: Any

    @classmethod
    def fit(cls, counts: sparse.csr_array, labels: Flags) -> _Model:
        columns = np.flatnonzero(np.bincount(counts.indices, minlength=counts.shape[1]) >= 2)  # noqa: PLR2004 - as said above
        weighting = TfidfTransformer(sublinear_tf=True)
        weighted = weighting.fit_transform(counts[:, columns])
        regression = LogisticRegression(C=_STRENGTH, solver="liblinear", random_state=0)
        return cls(columns, weighting, regression.fit(weighted, labels))

    def score(self, counts: sparse.csr_array) -> Floats:
        return np.asarray(self.regression.decision_function(self.weighting.transform(counts[:, self.columns])))

    def known(self, counts: sparse.csr_array) -> Floats:
        """The share of each text's words and pairs of words that were met."""
        words = self.columns[self.columns < _WORDS]
        ones = sparse.csr_array((np.ones(len(counts.indices)), counts.indices, counts.indptr), shape=counts.shape)
        met, all_ = ones[:, words].sum(axis=1), ones[:, :_WORDS].sum(axis=1)
        return np.asarray(np.divide(met, all_, out=np.zeros(len(met)), where=all_ > 0))


def _counts(texts: Sequence[str]) -> sparse.csr_array:
    cut = [text[:TEXT_LIMIT] for text in texts]
    options = {"alternate_sign": False, "norm": None, "dtype": np.float64}
    words = HashingVectorizer(n_features=_WORDS, ngram_range=(1, 2), token_pattern=_WORD, **options)
    characters = HashingVectorizer(n_features=_CHARACTERS, ngram_range=(3, 5), analyzer="char_wb", **options)
    return sparse.csr_array(sparse.hstack([words.transform(cut), characters.transform(cut)], format="csr"))


def _folds(examples: Examples, folds: int, seed: int) -> Integers:
    fold = np.full(len(examples.labels), -1, dtype=np.int64)
    for number, outside in enumerate(_parts(examples, folds, seed % (1 << 32))):
        fold[outside] = number
    for number in range(folds):
        if len(np.unique(examples.labels[fold != number])) < 2 or not (fold == number).any():  # noqa: PLR2004 - both kinds
            raise PanelError(f"the examples cannot be put into {folds} folds with both kinds in each; give more groups")
    return fold


def _parts(examples: Examples, folds: int, seed: int) -> Iterator[Flags]:
    """The examples of each fold: groups whole, kinds as evenly as they go."""
    names, first, group = np.unique(examples.groups, return_index=True, return_inverse=True)
    if len(names) < folds:
        raise PanelError(f"{len(names)} groups of examples cannot be put into {folds} folds; give more, or fewer folds")
    kind = examples.labels[first]
    if (kind[group] == examples.labels).all() and len(group) < _LOOSE * len(names):
        # Nearly every example is a group of its own: groups are dealt out by kind, which takes a moment.
        fewest = min(int(kind.sum()), int((~kind).sum()))
        if fewest < folds:
            raise PanelError(f"{fewest} groups of one kind of example; {folds} folds need as many")
        for _, outside in StratifiedKFold(folds, shuffle=True, random_state=seed).split(names, kind):
            yield np.isin(group, outside)
        return
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for _, outside in splitter.split(examples.groups, examples.labels, examples.groups):
        yield np.isin(np.arange(len(group)), outside)


def _calibration(scores: Floats, labels: Flags) -> tuple[float, float]:
    """Slope and offset of the logit, by maximum likelihood with Platt's targets (N + 1) / (N + 2)."""
    true, false = int(labels.sum()), int((~labels).sum())
    target = np.where(labels, (true + 1.0) / (true + 2.0), 1.0 / (false + 2.0))
    fitted = LogisticRegression(C=1e8, solver="lbfgs", tol=1e-8, max_iter=1000).fit(
        np.concatenate([scores, scores])[:, None],
        np.repeat([True, False], len(scores)),
        sample_weight=np.concatenate([target, 1.0 - target]),
    )
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def _calibrations(scores: Floats, examples: Examples, seed: int) -> list[tuple[float, float]]:
    generator = keyed(seed, "label", "calibration")
    _, group = np.unique(examples.groups, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 2))
    found = []
    for _ in range(CALIBRATIONS):
        drawn = generator.integers(0, len(starts) - 1, size=len(starts) - 1)
        rows = np.concatenate([order[starts[number] : starts[number + 1]] for number in drawn])
        if len(np.unique(examples.labels[rows])) == 2:  # noqa: PLR2004 - one kind alone calibrates nothing
            found.append(_calibration(scores[rows], examples.labels[rows]))
    return found


def _quality(judged: Floats, labels: Flags) -> Quality:
    order = np.argsort(judged, kind="stable")
    bins = tuple(
        Bin(float(judged[rows].mean()), float(labels[rows].mean()), len(rows))
        for rows in np.array_split(order, _BINS)
        if len(rows)
    )
    return Quality(
        average_precision=float(average_precision_score(labels, judged)),
        roc_auc=float(roc_auc_score(labels, judged)),
        brier=float(brier_score_loss(labels, judged)),
        calibration_error=sum(one.examples * abs(one.label - one.share) for one in bins) / len(labels),
        curve=bins,
    )


def _labels(logits: Floats) -> Floats:
    """Degrees to six places, never quite 0 or 1: their logit is needed again."""
    return np.asarray(np.clip(np.round(special.expit(logits), 6), _SMALLEST, 1.0 - _SMALLEST))
