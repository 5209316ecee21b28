#!/usr/bin/env bash
# Installs what the tests on real servers need and this Debian or Ubuntu lacks: ClickHouse, Java, Maven, Apache Kafka,
# a schema registry; and the clients that read from outside: kcat, Node.js.
# Does nothing for what is there already. Never starts a service: the tests start their own processes.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
policy=/usr/sbin/policy-rc.d

as_root() {
    if [[ "$(id -u)" == 0 ]]; then "$@"; else sudo "$@"; fi
}

lacking() { # program package: prints the package when the program is not there
    PATH="$PATH:/usr/sbin" command -v "$1" >/dev/null || echo "$2"
}

# The package manager asks this file before it starts a service, and 101 means no.
forbid_services() {
    [[ -e "$policy" ]] && return
    trap 'as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

install_packages() {
    forbid_services
    as_root apt-get update -q >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null
}

mapfile -t packages < <(
    lacking clickhouse-server clickhouse-server
    lacking java default-jre-headless
    lacking mvn maven
    lacking kcat kcat
    lacking node nodejs
    lacking npm npm
)
if ((${#packages[@]})); then
    install_packages "${packages[@]}"
    echo "servers: installed ${packages[*]}"
else
    echo "servers: ClickHouse, Java, Maven, kcat and Node.js are there already"
fi
"$here/kafka/fetch.sh"
"$here/registry/fetch.sh"
"$here/clients/fetch.sh"
