# SPDX-License-Identifier: Apache-2.0
"""The strict edge: how documents from outside become typed values.

What two readers could understand differently is refused: duplicate keys, unknown keys, another spelling of the
same document, base64 with stray bits. One reading, one meaning.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evidence import InputError, canonical, parse_json

Sha256Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
GitId = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
# Neither control characters nor those that change the order of what is shown: a name reads as it is.
_HIDDEN = r"\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
Line = Annotated[str, Field(min_length=1, max_length=1000, pattern=rf"^[^\x00-\x1f{_HIDDEN}]+$")]
Text = Annotated[str, Field(max_length=10_000, pattern=rf"^[^\x00-\x08\x0b-\x1f{_HIDDEN}]*$")]
Count = Annotated[int, Field(ge=0, le=(1 << 53) - 1)]
Time = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class StrictModel(BaseModel):
    """A document, or a part of one, in which every key is known and every value has its exact type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Model = TypeVar("Model", bound=StrictModel)


class Sha256(StrictModel):
    """A digest set of in-toto with the one algorithm that is used here."""

    sha256: Sha256Hex


def read_document(model: type[Model], data: bytes, what: str, *, limit: int, only_canonical: bool) -> Model:
    """Parse ``data`` as one ``model``.

    Args:
        model: what it must be.
        data: the document, UTF-8 JSON.
        what: how to name it in an error.
        limit: the largest size accepted, in bytes.
        only_canonical: whether only the RFC 8785 spelling is accepted; signed and bundled documents need it, files
            that people write do not.

    Raises:
        InputError: not JSON, a duplicate or unknown key, a value of another type, not canonical where it must be.
    """
    spelled = canonical(parse_json(data, what, limit=limit))
    if only_canonical and spelled != data:
        raise InputError(f"{what}: not canonical JSON (RFC 8785)")
    try:
        return model.model_validate_json(spelled)
    except ValidationError as error:
        raise InputError(f"{what}: {first_problem(error)}") from error


def first_problem(error: ValidationError) -> str:
    """The first of a model's complaints as ``where: what``, without the value (it may be long or hostile)."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part)[:80] for part in problem["loc"]) or "document"
    return "".join(letter if letter.isprintable() else "?" for letter in f"{where}: {problem['msg']}")


def decode_base64(text: str, what: str) -> bytes:
    """The bytes of standard, padded base64 in its one canonical spelling.

    Raises:
        InputError: another alphabet, missing padding, stray bits, white space.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise InputError(f"{what}: not standard base64") from error
    if encode_base64(data) != text:
        raise InputError(f"{what}: base64 with stray bits")
    return data


def encode_base64(data: bytes) -> str:
    """Standard, padded base64."""
    return base64.b64encode(data).decode("ascii")


def parse_time(text: str, what: str) -> datetime:
    """The UTC time written as ``2026-01-31T12:00:00Z``, the one form used.

    Raises:
        InputError: another form, or no such time.
    """
    try:
        moment = datetime.strptime(text, _TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise InputError(f"{what}: not a UTC time like 2026-01-31T12:00:00Z") from error
    if format_time(moment) != text:
        raise InputError(f"{what}: not a UTC time like 2026-01-31T12:00:00Z")
    return moment


def format_time(moment: datetime) -> str:
    """A time of any zone, in UTC to the second.

    Raises:
        InputError: a time without a zone, which could mean any.
    """
    if moment.tzinfo is None:
        raise InputError("a time needs its zone")
    moment = moment.astimezone(UTC)
    return f"{moment.year:04d}-{moment:%m-%dT%H:%M:%SZ}"
