# SPDX-License-Identifier: Apache-2.0
"""The confined process: opens both sides, then compares what it is asked for; one line of JSON in, one out.

Started as a script in the sandbox, where the house is not: the packages above this one are empty names there.
"""

import json
import sys
from types import ModuleType
from typing import Any


def _name_packages() -> None:
    for name, path in (("diffing", "/tree"), ("diffing.artifacts", "/tree/artifacts")):
        package = ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package


def main() -> None:
    """Serve calls until the other side closes the stream."""
    from diffing.artifacts.inside.session import Session  # noqa: PLC0415 - only once the packages have their names

    session = Session()
    for line in sys.stdin:
        answer: dict[str, Any] = session.answer(json.loads(line))
        sys.stdout.write(json.dumps(answer, allow_nan=False, separators=(",", ":")) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _name_packages()
    main()
