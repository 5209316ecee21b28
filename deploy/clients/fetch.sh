#!/usr/bin/env bash
# Puts what the example client needs beside it, at the versions of its package-lock.json. Does nothing when they are there.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/node"

if [[ "$here/node_modules/.package-lock.json" -nt "$here/package-lock.json" ]]; then
    echo "clients: already in deploy/clients/node"
    exit 0
fi
command -v npm >/dev/null || { echo "clients: npm is missing; install Node.js and npm, then run $0 again" >&2; exit 1; }
npm ci --prefix "$here" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
touch "$here/node_modules/.package-lock.json"
echo "clients: installed in deploy/clients/node"
