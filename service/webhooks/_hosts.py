# SPDX-License-Identifier: Apache-2.0
"""Code hosts as one table: how each shows who it is, names an event, and what its events mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evidence import Json
    from service.happenings import Meaning
    from service.settings import Platform


@dataclass(frozen=True, slots=True)
class CodeHost:
    """One sender of webhooks; ``name`` is the last part of its path and the source of its deliveries.

    ``verify`` looks at headers and raw body only and returns the platforms whose secret matched, or raises
    AuthenticationError. ``event`` is the header that names the event, ``delivery`` those that may name the delivery,
    first come first; without one a delivery is known by its body alone, unless ``needs_id``. What ``readers`` has no
    entry for is ignored.
    """

    name: str
    verify: Callable[[Sequence[Platform], Mapping[str, str], bytes], tuple[Platform, ...]]
    event: tuple[str, ...]
    delivery: tuple[str, ...]
    readers: Mapping[str, Callable[[Json, tuple[Platform, ...]], Meaning]]
    needs_id: bool = False
    default_event: str = ""
