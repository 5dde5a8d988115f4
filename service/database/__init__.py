# SPDX-License-Identifier: Apache-2.0
"""What the service remembers: tables, their migrations, and the engine."""

from service.database.engine import Database
from service.database.models import (
    AnswerRow,
    Base,
    CarriedRow,
    Change,
    Delivery,
    EventRow,
    MakerRow,
    PasskeyRequest,
    PasskeyRow,
    PersonRow,
    RevisionRow,
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
    "Delivery",
    "EventRow",
    "MakerRow",
    "PasskeyRequest",
    "PasskeyRow",
    "PersonRow",
    "RevisionRow",
    "Session",
    "SignInLink",
    "SignoffRow",
    "StatementRow",
    "ViewedRow",
]
