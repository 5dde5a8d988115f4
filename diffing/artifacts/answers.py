# SPDX-License-Identifier: Apache-2.0
"""What the confined parser may answer: every field, its type and its bounds. Anything else is no answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from evidence import InputError

_Text = Annotated[str, StringConstraints(max_length=1200, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Count = Annotated[int, Field(ge=0)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Share = Annotated[float, Field(ge=0, le=1)]


_Answer = TypeVar("_Answer", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Said(_Strict):
    """A file and one line about it."""

    path: _Text
    reason: _Text


class Unsafe(_Strict):
    """A file that runs code when it is loaded, as listed without loading it."""

    path: _Text
    opcodes: dict[_Text, _Count]
    imports: list[_Text]
    complete: bool
    note: _Text | None
    scanners: dict[_Text, _Text]


class Used(_Strict):
    """How often, and with what gain, a feature splits."""

    splits: _Count
    gain: _Number


class Forest(_Strict):
    """A tree ensemble beside its numbers."""

    trees: _Count
    features: list[_Text]
    used: dict[_Text, Used]
    words: dict[_Text, str]


class Beside(_Strict):
    """What stands beside a file's numbers; ``acts`` where a reader of the file follows it."""

    what: Annotated[_Text, Field(min_length=1)]
    acts: bool
    words: dict[_Text, _Text]


class Wired(_Strict):
    """The nodes of a graph that only one side has."""

    old: list[_Text]
    new: list[_Text]


class Opened(_Strict):
    """One side after its headers were read."""

    kinds: list[_Text]
    tensors: _Count
    refused: list[Said]
    unsafe: list[Unsafe]
    opaque: list[Said]
    ignored: list[_Text]
    forests: dict[_Text, Forest]
    operators: dict[_Text, dict[_Text, _Count]]
    beside: dict[_Text, Beside]


class Opening(_Strict):
    """Both sides, and the bytes of every pair that there is to compare."""

    sides: dict[_Text, Opened]
    bytes: list[_Count]
    tables: list[bool]
    alike: list[bool]
    wiring: dict[_Text, Wired]


class Outlier(_Strict):
    """A row out of line."""

    row: _Count
    score: _Number
    shift: _Number | None = None
    old_norm: _Number | None = None
    new_norm: _Number | None = None
    id: _Text | None = None


class Both(_Strict):
    """A count on both sides."""

    old: _Count
    new: _Count


class Digests(_Strict):
    """SHA-256 of a tensor's bytes on both sides."""

    old: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None
    new: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None


class Logs(_Strict):
    """Logarithms of the shifts of the rows that moved."""

    median: _Number
    deviation: _Number
    high: _Number


class Histogram(_Strict):
    """Rows by the size of their shift."""

    edges: list[_Number]
    counts: list[_Count]


class RowShifts(_Strict):
    """How the rows moved."""

    rows: _Count
    rows_changed: _Count
    median_shift: _Number
    deviation: _Number
    log_deviation: Logs | None
    histogram: Histogram | None


class Column(_Strict):
    """A column's share of the difference."""

    column: _Count
    share: _Number


class Spectrum(_Strict):
    """In how few directions the difference lies."""

    rows: _Count
    values: list[_Number]
    top_share: _Share
    rank_99: _Count | None
    rank_999: _Count | None
    full_rank: _Count
    columns: list[Column]


class Moments(_Strict):
    """One side's values."""

    mean: _Number
    deviation: _Number
    quantiles: list[_Number]


class Distribution(_Strict):
    """Both sides' values, and how far apart they are."""

    old: Moments
    new: Moments
    distance: _Number | None
    kolmogorov: _Share
    sampled: _Count


class Moved(Outlier):
    """A row out of line once the axes are turned back."""

    second_order: _Number


class Rebuilt(_Strict):
    """What training again with other random numbers varies by."""

    count: _Count
    residual: _Number
    jaccard: _Share
    second_order: _Number
    excess: _Number


class Group(_Strict):
    """A group of rows: its median score, and its move towards a centre in robust deviations."""

    name: _Text
    rows: _Count
    score: _Number
    towards: _Number | None


class Aligned(_Strict):
    """A table across a retrain. ``residual`` is what alignment leaves, relative; ``turned`` 0 for the same axes."""

    rows: _Count
    residual: _Number
    scale: _Number
    turned: _Number
    neighbours: _Count
    sampled: _Count
    jaccard: _Share
    second_order: _Number
    outlier_rows: list[Moved]
    rebuild: Rebuilt | None
    groups: list[Group]


class Near(_Strict):
    """A neighbour, and the cosine of the angle to it."""

    row: _Count
    cosine: Annotated[float, Field(ge=-1, le=1)]
    id: _Text | None = None


class Around(_Strict):
    """The nearest other rows of a row out of line, nearest first, and the Jaccard similarity of the two sets."""

    row: _Count
    id: _Text | None = None
    jaccard: _Share
    before: list[Near]
    after: list[Near]


class Tensor(_Strict):
    """One tensor, as it stands in ``formats.md``, and more."""

    name: _Text
    status: Literal["same", "changed", "added", "removed"]
    old_shape: list[_Count] | None
    new_shape: list[_Count] | None
    old_dtype: _Text | None
    new_dtype: _Text | None
    relative_l2: _Number | None
    cosine: _Number | None
    max_abs: _Number | None
    changed_share: _Share | None
    outlier_rows: list[Outlier]
    old_name: _Text | None = None
    digest: Digests
    compared_rows: _Count | None = None
    old_norm: _Number | None = None
    new_norm: _Number | None = None
    row_shifts: RowShifts | None = None
    spectrum: Spectrum | None = None
    distribution: Distribution | None = None
    non_finite: Both | None = None
    denormals: Both | None = None
    rounding: _Number | None = None
    aligned: Aligned | None = None
    neighbours: list[Around] | None = None

    def to_json(self) -> dict[str, Any]:
        """The tensor as it stands in the document; what was not measured is left out."""
        document: dict[str, Any] = self.model_dump()
        always = set(list(type(self).model_fields)[:11])
        return {key: value for key, value in document.items() if key in always or value is not None}


class Alignment(_Strict):
    """The answer to ``align``."""

    aligned: Aligned


class _AroundAnswer(_Strict):
    around: list[Around]


class Head(_Strict):
    """A group's share of exposure by the tables alone; ``error`` is the standard error of its difference."""

    name: _Text
    base_share: _Share
    head_share: _Share
    ratio: _Number | None
    error: _Number


class Heads(_Strict):
    """The exposure of groups where a score is a dot product of two tables."""

    users: _Count
    k: _Count
    groups: list[Head]


class _HeadsAnswer(_Strict):
    heads: Heads


class Compared(_Strict):
    """Some pairs, compared."""

    tensors: list[Tensor]


class Snapshot(_Strict):
    """One snapshot of training data: rows, distinct users and items, and rows by month and by value."""

    rows: Annotated[int, Field(gt=0)]
    columns: dict[_Text, _Text]
    users: _Count | None
    items: _Count | None
    duplicates: _Share
    duplicates_sampled: Annotated[int, Field(ge=1)]
    undated: _Count
    missing: dict[Literal["user", "item"], _Count]
    months: dict[_Text, _Count]
    values: dict[_Text, dict[_Text, _Count]]
    labels: dict[_Text, dict[_Text, _Count]]
    new_by_source: dict[_Text, _Count]


class Arrivals(_Strict):
    """Users that only one snapshot has; ``arrivals`` are the days on which most of head's come for the first time."""

    gained: _Count
    lost: _Count
    gained_rows: _Count
    arrivals: dict[_Text, _Count]
    usual_day: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    usual_day_before: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Snapshots(_Strict):
    """Two snapshots, and which column was taken for what."""

    roles: dict[Literal["user", "item", "source", "label", "time"], _Text]
    base: Snapshot
    head: Snapshot
    users: Arrivals | None


class _SnapshotsAnswer(_Strict):
    snapshots: Snapshots


def opening(answer: Any) -> Opening:  # noqa: ANN401 - parsed JSON
    """The answer to ``open``; InputError if it is none."""
    return _checked(Opening, answer)


def compared(answer: Any) -> Compared:  # noqa: ANN401 - parsed JSON
    """The answer to ``compare``; InputError if it is none."""
    return _checked(Compared, answer)


def aligned(answer: Any) -> Aligned:  # noqa: ANN401 - parsed JSON
    """The answer to ``align``; InputError if it is none."""
    return _checked(Alignment, answer).aligned


def around(answer: Any) -> list[Around]:  # noqa: ANN401 - parsed JSON
    """The answer to ``around``; InputError if it is none."""
    return _checked(_AroundAnswer, answer).around


def heads(answer: Any) -> Heads:  # noqa: ANN401 - parsed JSON
    """The answer to ``heads``; InputError if it is none."""
    return _checked(_HeadsAnswer, answer).heads


def snapshots(answer: Any) -> Snapshots:  # noqa: ANN401 - parsed JSON
    """The answer to ``data``; InputError if it is none."""
    return _checked(_SnapshotsAnswer, answer).snapshots


def _checked(kind: type[_Answer], answer: Any) -> _Answer:  # noqa: ANN401 - parsed JSON
    if isinstance(answer, dict) and set(answer) == {"refused"}:
        raise InputError(str(answer["refused"])[:400])
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][:6])
        raise InputError(f"the parser's answer does not hold at {place}: {first['msg'][:120]}") from error
