# SPDX-License-Identifier: Apache-2.0
"""What the service remembers: tables, their migrations, and the engine."""

from service.database.engine import Database
from service.database.models import (
    AnswerRow,
    Base,
    CarriedRow,
    Change,
    DecisionRow,
    Delivery,
    EventRow,
    IncidentRow,
    MakerRow,
    PasskeyRequest,
    PasskeyRow,
    PersonRow,
    RevisionRow,
    RolloutRow,
    Session,
    SignInLink,
    SignoffRow,
    StatementRow,
    ViewedRow,
)

__all__ = [
    "AnswerRow",
    "Base",
    "CarriedRow",
    "Change",
    "Database",
    "DecisionRow",
    "Delivery",
    "EventRow",
    "IncidentRow",
    "MakerRow",
    "PasskeyRequest",
    "PasskeyRow",
    "PersonRow",
    "RevisionRow",
    "RolloutRow",
    "Session",
    "SignInLink",
    "SignoffRow",
    "StatementRow",
    "ViewedRow",
]
