# SPDX-License-Identifier: Apache-2.0
"""What a change does: panels, slates, exposure, inference, probes."""

from behavior._recording import Side, SlateCache
from behavior._slate_files import read_slates, write_slates
from behavior.auditing import audit
from behavior.audits import Audit, ProbeResult
from behavior.cells import Cell
from behavior.comparison import compare
from behavior.manifest import MANIFEST_NAME, Manifest, locate_artifacts, read_manifest
from behavior.panels import Panel, read_panel
from behavior.slates import Slates, make_slates

__all__ = [
    "MANIFEST_NAME",
    "Audit",
    "Cell",
    "Manifest",
    "Panel",
    "ProbeResult",
    "Side",
    "SlateCache",
    "Slates",
    "audit",
    "compare",
    "locate_artifacts",
    "make_slates",
    "read_manifest",
    "read_panel",
    "read_slates",
    "write_slates",
]
