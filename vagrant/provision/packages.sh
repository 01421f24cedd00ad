#!/bin/sh
# The packages of a host. Runs in a VM at `vagrant up` and in the build of the container image; a second run does nothing.
set -eu

# apparmor: on a kernel that has it Docker starts no container without its parser.
packages='
    dbus systemd procps iproute2 iptables ca-certificates curl jq
    docker.io docker-registry apparmor
    etcd-server etcd-client
    nginx'
# Debian 13 ships the docker command apart from the engine.
if [ "$(sed -n 's/^VERSION_ID="\(.*\)"/\1/p' /etc/os-release)" != 12 ]; then
    packages="$packages docker-cli"
fi

missing=
for package in $packages; do
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # a list of words
apt-get -qq install --yes --no-install-recommends $missing
