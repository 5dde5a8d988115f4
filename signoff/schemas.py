# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas of the documents of this room, made from the models that read them.

The copies in ``docs/schemas/`` are compared with these by a test, which writes them when it is asked to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from signoff.breakglass import BreakGlassDocument, EmergencyStatement
from signoff.builds import BuildStatement, StopStatement
from signoff.bundle import BundleDocument
from signoff.carrying import CarryDocument
from signoff.envelope import EnvelopeDocument
from signoff.facts import FactsDocument
from signoff.measures import Measures
from signoff.policy import PolicyDocument
from signoff.recipe import Recipe
from signoff.revocations import RevocationsDocument
from signoff.rootchain import UpdateDocument
from signoff.roots import RootsDocument
from signoff.statement import Statement
from signoff.summary import SummaryDocument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from signoff._strict import StrictModel

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MODELS: Mapping[str, type[StrictModel]] = {
    "break-glass": BreakGlassDocument,
    "break-glass-statement": EmergencyStatement,
    "build": BuildStatement,
    "bundle": BundleDocument,
    "carry-over": CarryDocument,
    "envelope": EnvelopeDocument,
    "facts": FactsDocument,
    "gate-decision": SummaryDocument,
    "lane-stopped": StopStatement,
    "measures": Measures,
    "policy": PolicyDocument,
    "recipe": Recipe,
    "revocations": RevocationsDocument,
    "roots": RootsDocument,
    "roots-update": UpdateDocument,
    "statement": Statement,
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Each document's schema by its name; the policy's is of the TOML file as parsed."""
    return {name: _schema(name, model) for name, model in _MODELS.items()}


def _schema(name: str, model: type[StrictModel]) -> dict[str, Any]:
    made = model.model_json_schema(by_alias=True)
    if name == "bundle":
        made["properties"]["facts"]["items"] = {"$ref": "facts.schema.json"}
        made["properties"]["carry"] = {"$ref": "#/$defs/CarryEntry"}
        made["properties"]["build"] = {"$ref": "#/$defs/BuildEntry"}
        made["$defs"]["BuildEntry"]["properties"] |= {
            name: {"$ref": f"{name}.schema.json"} for name in ("measures", "recipe")
        }
        for entry in ("SignoffEntry", "RevocationsEntry", "CarryEntry", "BuildEntry"):
            made["$defs"][entry]["properties"]["envelope"] = {"$ref": "envelope.schema.json"}
    if name == "break-glass":
        made["properties"]["approvals"]["items"] = {"$ref": "envelope.schema.json"}
    head = {
        "$schema": _DIALECT,
        "$id": f"https://countersign.dev/schemas/{name}.schema.json",
        "$comment": "SPDX-License-Identifier: Apache-2.0",
    }
    return {**head, **made}
