# SPDX-License-Identifier: Apache-2.0
"""The rules of findings: what each means, in a sentence. What a finding weighs is decided where it is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

RULES: Final[Mapping[str, str]] = {
    "literal-changed": "A number, text, truth value or list bound to a name has another value.",
    "literal-added": "A named value is new.",
    "literal-removed": "A named value is gone.",
    "condition-changed": "A comparison or combination of comparisons holds for other cases.",
    "formula-changed": "The same constants are put together in another way.",
    "identity-list-added": "A list that singles out accounts, sources, words or places is new.",
    "identity-list-changed": "A list that singles out accounts, sources, words or places has other members.",
    "identity-special-case": "One account, source, word or place is treated unlike others.",
    "rule-added": "A rule, filter or scorer of a list is new.",
    "rule-removed": "A rule, filter or scorer of a list is gone.",
    "wiring-added": "A symbol is newly referenced though its own file may be unchanged.",
    "wiring-removed": "A symbol is no longer referenced though its own file may be unchanged.",
    "monitoring-removed": "Metrics, logging, audit records or labels are gone.",
    "capability-added": "Code can reach beyond computing in a way that it could not.",
    "destination-added": "A host, topic, bucket or other place that data can go to is new.",
    "data-field-exposed": "User data reaches a place that takes it out of the program.",
    "claim-mismatch": "What the title or message says does not fit what changed.",
    "ramp": "Against the last signed baseline a value moved further than this change shows.",
    "redaction": "A value was replaced by a blank or a sentinel.",
    "history-rewritten": "Base is no ancestor of head.",
    "opaque-artifact": "A file whose content cannot be reviewed came or changed.",
    "unsafe-artifact": "A file that can run code when it is loaded came or changed.",
    "dependency-added": "Something new is depended upon.",
    "dependency-changed": "A dependency has another version, place, hash or way of installation.",
    "manifest-changed": "How the recommender is loaded, called and fed has changed.",
    "tensor-changed": "Model weights have changed.",
    "embedding-outlier": "Single rows of an embedding table changed unlike the others.",
    "non-finite-values": "Model weights hold values that are no numbers.",
    "invisible-characters": "What a reader sees is not what runs.",
    "authorship-mismatch": "Who commits say they are by does not fit together.",
    "egress-attempted": "The recommender tried to reach the network.",
    "excess-churn": "More items moved than a retrained model explains.",
    "parse-failed": "A file, or lines of it, do not parse as what they are.",
    "training-data-changed": "What a model learns from has other rows, sources, labels, times or users.",
    "provenance-missing": "Nothing that verifies says from which code and data an artifact was made.",
}
"""Every rule of ``formats.md``, in its order, then those that came since."""
