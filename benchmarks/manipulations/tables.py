# SPDX-License-Identifier: Apache-2.0
"""docs/detection.md from the rows."""

from __future__ import annotations


def write_document(rows, document):
    pass
