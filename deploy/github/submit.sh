#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Submits a change and waits for the verdict, out of the environment alone. Exits as `countersign submit --wait`:
# 0 pass, 1 fail, 2 bad input, 3 inconclusive, 4 the service does not answer in time.
set -euo pipefail
for name in COUNTERSIGN_SERVER COUNTERSIGN_TOKEN COUNTERSIGN_REPOSITORY COUNTERSIGN_BASE COUNTERSIGN_HEAD; do
  if [ -z "${!name:-}" ]; then
    printf 'countersign: %s is not set\n' "$name" >&2
    exit 2
  fi
done

arguments=(--server "$COUNTERSIGN_SERVER" --wait --timeout "${COUNTERSIGN_TIMEOUT:-3600}" --format json)
[ -z "${COUNTERSIGN_TARGET:-}" ] || arguments+=("--target=$COUNTERSIGN_TARGET")
[ -z "${COUNTERSIGN_CHANGE:-}" ] || arguments+=("--change=$COUNTERSIGN_CHANGE")
[ -z "${COUNTERSIGN_TITLE:-}" ] || arguments+=("--title=$COUNTERSIGN_TITLE")
[ -z "${COUNTERSIGN_MAKER:-}" ] || arguments+=("--maker=$COUNTERSIGN_MAKER")

status=0
document=$(countersign submit "${arguments[@]}" -- "$COUNTERSIGN_REPOSITORY" "$COUNTERSIGN_BASE" "$COUNTERSIGN_HEAD") || status=$?
field() { python3 -c 'import json, sys; print(" ".join(str(json.loads(sys.argv[1]).get(sys.argv[2]) or "").split()))' "$document" "$1"; }
if [ -n "$document" ]; then
  verdict=$(field verdict)
  state=$(field state)
  printf 'countersign: %s, verdict %s\n' "$state" "${verdict:-none}"
  if [ -n "${GITHUB_OUTPUT:-}" ]; then printf 'verdict=%s\nstate=%s\n' "$verdict" "$state" >>"$GITHUB_OUTPUT"; fi
fi
exit "$status"
