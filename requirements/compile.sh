#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rewrites the locks: hashed requirements that name versions and no download address.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() { uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header "$@"; }
lock pyproject.toml --group build -o requirements/run.txt
lock pyproject.toml --group build --extra benchmarks --group dev -c requirements/run.txt -o requirements/dev.txt
