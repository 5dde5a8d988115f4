# SPDX-License-Identifier: Apache-2.0
"""What a change does: panels, slates, exposure, inference, probes."""

from typing import TYPE_CHECKING

from evidence.facades import on_demand

if TYPE_CHECKING:
    from behavior._layouts import LAYOUTS
    from behavior._recording import Side, SlateCache
    from behavior._slate_files import read_slates, write_slates
    from behavior.absolute import ABSOLUTE_SCHEMA, Absolute, Baseline, absolute, absolute_run
    from behavior.auditing import AUDIT_PROBES, audit
    from behavior.audits import Audit, ProbeResult
    from behavior.cells import Cell
    from behavior.comparison import compare
    from behavior.importing import Beside, import_panel
    from behavior.labelling import ExampleColumns, Learning, label_panel
    from behavior.manifest import MANIFEST_NAME, Manifest, locate_artifacts, read_manifest
    from behavior.panels import Panel, read_panel
    from behavior.power import Power, power
    from behavior.scaffold import IdColumns, new_panel
    from behavior.slates import Slates, make_slates

__all__ = [
    "ABSOLUTE_SCHEMA",
    "AUDIT_PROBES",
    "LAYOUTS",
    "MANIFEST_NAME",
    "Absolute",
    "Audit",
    "Baseline",
    "Beside",
    "Cell",
    "ExampleColumns",
    "IdColumns",
    "Learning",
    "Manifest",
    "Panel",
    "Power",
    "ProbeResult",
    "Side",
    "SlateCache",
    "Slates",
    "absolute",
    "absolute_run",
    "audit",
    "compare",
    "import_panel",
    "label_panel",
    "locate_artifacts",
    "make_slates",
    "new_panel",
    "power",
    "read_manifest",
    "read_panel",
    "read_slates",
    "write_slates",
]

on_demand(__name__)
