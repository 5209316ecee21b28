#!/bin/sh
# Builds the virtual environment of this project: PYTHON VENV REQUIREMENTS. Quiet; one line for each step.
set -eu
python=$1 venv=$2 requirements=$3

fail() { echo "siyu: $1" >&2; exit 1; }

command -v "$python" >/dev/null 2>&1 || fail "$python is missing; install it, or name another one: make PYTHON=python3.12"
if [ ! -x "$venv/bin/python" ]; then
  echo "· making a virtual environment in $venv"
  "$python" -m venv "$venv" || fail "$python can't make virtual environments; on Debian: apt-get install python3-venv"
fi
all=$(grep -c '==' "$requirements")
echo "· installing $all pinned packages (once; about 1 GB on disk)"
log=$venv/install.log
"$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off --no-compile \
  -r "$requirements" >"$log" 2>&1 &
installer=$!
while kill -0 "$installer" 2>/dev/null; do
  sleep 5
  got=$(grep -cE '^ *(Downloading|Using cached) .*(whl|tar.gz)' "$log" || true)
  if grep -q '^Installing collected packages' "$log"; then echo "  unpacking"; else echo "  fetched $got of $all"; fi
done
wait "$installer" || { tail -n 5 "$log" >&2; fail "the packages could not be installed; all of it is in $log"; }
"$venv/bin/python" -m pip install --disable-pip-version-check --no-input -q --no-deps --no-build-isolation -e . >>"$log" 2>&1 \
  || { tail -n 5 "$log" >&2; fail "siyu-streams could not be installed; all of it is in $log"; }
echo "· ready"
