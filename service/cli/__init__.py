# SPDX-License-Identifier: Apache-2.0
"""The command line. Results on standard output, everything else on standard error, one line an error."""

from service.cli.main import app, main

__all__ = ["app", "main"]
