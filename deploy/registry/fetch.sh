#!/usr/bin/env bash
# Puts Apicurio Registry, which speaks the Confluent Schema Registry's REST API, into build/registry, for the tests that
# want a real one. Does nothing when this version is there already. Never leaves a half-filled folder behind.
set -euo pipefail

# Newer ones ask for Java 21.
version=3.0.9
# The newest that can still write what it gets to a named file; the application's own pom is incomplete, and "copy" and
# "unpack" insist on it.
plugin=org.apache.maven.plugins:maven-dependency-plugin:2.8
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
target="$(cd "$here/../.." && pwd)/build/registry"

fail() {
    echo "registry: $1" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null || fail "$1 is missing; install a Java 17 runtime and Maven, then run $0 again"
}

need java

if [[ -f "$target/apicurio/apicurio-registry-app-$version-runner.jar" ]]; then
    echo "registry: already in build/registry/apicurio"
    exit 0
fi

need mvn
mkdir -p "$target"
fresh="$(mktemp -d "$target/fetching.XXXXXX")"
trap 'rm -rf "$fresh"' EXIT
chmod 755 "$fresh"
mvn -q -B "$plugin:get" -Dartifact="io.apicurio:apicurio-registry-app:$version:tar.gz:all" -Dtransitive=false \
    -Ddest="$fresh/all.tar.gz" >"$target/fetch.log" 2>&1 ||
    fail "mvn could not get it: $(grep -m1 ERROR "$target/fetch.log" || echo "see build/registry/fetch.log")"
tar -xzf "$fresh/all.tar.gz" -C "$fresh"
rm "$fresh/all.tar.gz"

rm -rf "$target/apicurio"
mv "$fresh" "$target/apicurio"
echo "registry: Apicurio Registry $version in build/registry/apicurio"
