# SPDX-License-Identifier: Apache-2.0
"""Which values single out somebody or some place, by their shape and by what they are compared with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from diffing._words import GROUPING, IDENTITY, PERSONAL, is_people_list, word_set, words

if TYPE_CHECKING:
    from collections.abc import Sequence

_HANDLE = re.compile(r"@[A-Za-z0-9_.]{2,40}")
_DOMAIN = re.compile(r"(?:https?://)?(?:[a-z0-9][a-z0-9-]{0,62}\.)+([a-z]{2,18})(?:/[^@\\s]{0,200})?", re.IGNORECASE)
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]+\.[\w.]{2,60}")
_LONG_NUMBER = re.compile(r"\d{8,24}")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_NUMBERED = re.compile(
    r"(?:acct|account|user|author|creator|channel|source|outlet|publisher|uploader|page|group)[-_:]?\d{1,20}",
    re.IGNORECASE,
)
_FILE = re.compile(
    r"[/\\]|\.(?:py|md|rst|txt|json|ya?ml|toml|csv|tsv|html?|css|js|ts|lock|cfg|ini|npy|npz|parquet|sh)$", re.IGNORECASE
)

# Endings that are hardly ever anything but a domain's. Country endings that are also words of code (id, is, in, to,
# py, rs …) are left out.
_ENDINGS = word_set(
    "com net org info news tv ru cn de fr uk us ir ua eu br press media gov edu tk su biz online site ai app co io"
)

_COUNTRIES = word_set("""
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC
CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD
GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH
KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW
MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC
SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY
UZ VA VC VE VG VI VN VU WF WS XX YE YT ZA ZM ZW
""")
_MEASURES = word_set(
    "age days hours seconds minutes count counts number size length score rank weight share ratio level year index"
)
_ADDRESSES = frozenset({"url", "urls", "link", "host", "netloc", "website", "email", "mail", "id", "ids"})
_LOOSE = word_set(
    "role status type types class category categories label labels topic topics tag tags bucket state states"
)
_COUNTED = word_set(
    "id ids accounts account users user authors author creators creator channels publishers blocklist allowlist"
)
_IDS = frozenset({"id", "ids", "uid"})
_NUMBERED_ATTRIBUTES = frozenset(
    {
        "id",
        "ids",
        "uid",
        "kind",
        "country",
        "region",
        "group",
        "segment",
        "cohort",
        "account",
        "author",
        "creator",
        "source",
        "language",
        "party",
    }
)
_TELLING_SHARE = 0.6  # of a list's members whose shape alone must say that they are identities
_FEWEST_COUNTRIES = 3


def is_identity_value(value: object) -> bool:
    """Whether a value looks like a domain, a handle, an address, or a numbered account, whatever it is called."""
    if not isinstance(value, str) or not 3 <= len(value) <= 300:  # noqa: PLR2004 - shorter is a word, longer is a text
        return False
    if _HANDLE.fullmatch(value) or _MAIL.fullmatch(value) or _UUID.fullmatch(value) or _LONG_NUMBER.fullmatch(value):
        return True
    if _NUMBERED.fullmatch(value):
        return True
    domain = _DOMAIN.fullmatch(value)
    return domain is not None and domain.group(1).lower() in _ENDINGS


def is_country(value: object) -> bool:
    """Whether a value is an ISO 3166-1 alpha-2 code in capitals ("XX", the user-assigned one, too)."""
    return isinstance(value, str) and value in _COUNTRIES


def is_identity_list(name: str, values: Sequence[object]) -> bool:
    """Whether a list singles out somebody: by its members' shape, or by its name where the members are words or ids."""
    if not values or any(isinstance(value, (bool, float)) or value is None for value in values):
        return False
    shaped = sum(map(is_identity_value, values))
    if shaped >= max(1, _TELLING_SHARE * len(values)):
        return True
    if len(values) >= _FEWEST_COUNTRIES and all(map(is_country, values)):
        return True
    plain = [value for value in values if isinstance(value, str)]
    if any(_FILE.search(value) or value.startswith("-") for value in plain):
        return False
    if not plain:
        return len(values) > 1 and bool(words(name) & _COUNTED) and is_people_list(name)
    return is_people_list(name)


def weigh(subject: str, value: object, *, feeds: bool, directly: bool = False) -> int:
    """How much speaks for a comparison singling somebody out; 2 or more is a special case.

    One point each: the attribute is one of identity; it belongs to a person, source or item; the value has an
    identity's shape; a score or filter depends on it (two if directly). An attribute of neither list scores nothing.
    """
    attribute = words(subject.rpartition(".")[2])
    if attribute & _MEASURES or (isinstance(value, str) and _FILE.search(value)):
        return 0
    if isinstance(value, int) and not (attribute & _NUMBERED_ATTRIBUTES and (value > 1 or attribute & _IDS)):
        return 0
    strong, weak = bool(attribute & (IDENTITY | _ADDRESSES)), bool(attribute & GROUPING)
    shaped = is_identity_value(value)
    if not (strong or weak or shaped):
        return 0
    if attribute & _LOOSE and not (strong or shaped or words(subject) & PERSONAL):
        return 0
    personal = bool(
        words(subject)
        & PERSONAL - (attribute if strong and "." not in subject and len(attribute) == 1 else frozenset())
    )
    score = (2 if directly else 1) if feeds else 0
    return int(strong) + int(personal) + int(shaped) + int(is_country(value) and strong) + score
