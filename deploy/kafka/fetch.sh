#!/usr/bin/env bash
# Puts Apache Kafka as pinned in pom.xml, with all it needs, into build/kafka/libs.
# Does nothing when that is there already. Never leaves a half-filled or mixed folder behind.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
target="$(cd "$here/../.." && pwd)/build/kafka"
pinned="$(cksum <"$here/pom.xml")"

fail() {
    echo "kafka: $1" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null || fail "$1 is missing; install a Java 17 runtime and Maven, then run $0 again"
}

need java

if [[ -f "$target/pinned" && "$(cat "$target/pinned")" == "$pinned" ]]; then
    echo "kafka: already in build/kafka/libs"
    exit 0
fi

need mvn
mkdir -p "$target"
fresh="$(mktemp -d "$target/fetching.XXXXXX")"
trap 'rm -rf "$fresh"' EXIT
chmod 755 "$fresh"
mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$fresh" >"$target/fetch.log" 2>&1 ||
    fail "mvn could not copy it: $(grep -m1 ERROR "$target/fetch.log" || echo "see build/kafka/fetch.log")"

rm -rf "$target/libs" "$target/pinned"
mv "$fresh" "$target/libs"
echo "$pinned" >"$target/pinned"
echo "kafka: $(find "$target/libs" -name '*.jar' | wc -l) jars in build/kafka/libs"
