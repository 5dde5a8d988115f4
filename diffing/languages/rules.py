# SPDX-License-Identifier: Apache-2.0
"""Rules that the tables of several languages share."""

from __future__ import annotations

from diffing.languages import shapes
from diffing.languages.table import Kind, Rule
from diffing.languages.text import quoted, unescape

NAME = Rule(Kind.NAME, leaf=True)
NUMBER = Rule(Kind.NUMBER, leaf=True)
BOOLEAN = Rule(Kind.BOOLEAN, leaf=True)
NULL = Rule(Kind.NULL, leaf=True)
BLOCK = Rule(Kind.BLOCK)
JUMP = Rule(Kind.JUMP)
RAISE = Rule(Kind.JUMP, label="raise")
IMPORT = Rule(Kind.IMPORT)
QUOTED = Rule(Kind.STRING, leaf=True, decode=quoted)
FRAGMENT = Rule(Kind.STRING, leaf=True, decode=unescape)
BINARY = Rule(binary=True, fields=("left", "right"), shape=shapes.assigning)
IF = Rule(Kind.IF, fields=("condition", "consequence"), shape=shapes.branching)
WHILE = Rule(Kind.WHILE, fields=("condition", "body"), shape=shapes.with_blocks(1))
CHOICE = Rule(Kind.CHOICE, fields=("condition", "consequence", "alternative"))
