#!/bin/sh
# The services of a host: etcd, a Docker engine with a registry beside it, and nginx without a site of its own.
# Runs in a VM at `vagrant up`, in the build of the container image, and again whenever a host is provisioned.
#
# BGCTL_ETCD  http://NAME:2379 of the etcd that several hosts share; without it each host uses its own
set -eu

here=/vagrant/vagrant
etcd=${BGCTL_ETCD:-http://127.0.0.1:2379}
services='docker docker-registry etcd nginx'

# The files of host/ are laid out like the target. Prints each one that was not there or differs.
copy_files() {
    cd "$here/host"
    find . -type f | while read -r file; do
        target=${file#.}
        if ! cmp --quiet "$file" "$target"; then
            mkdir -p "${target%/*}"
            cp "$file" "$target"
            echo "$target"
        fi
    done
}

changed=$(copy_files)

# Only bgctl's own sites, and room for many proxied connections (Debian: 768).
rm -f /etc/nginx/sites-enabled/default
sed -i 's/worker_connections 768;/worker_connections 8192;/' /etc/nginx/nginx.conf

# A shared etcd has to be reached from the other hosts; one's own only from here.
listen=http://127.0.0.1:2379
[ -z "${BGCTL_ETCD:-}" ] || listen=http://0.0.0.0:2379
settings="ETCD_LISTEN_CLIENT_URLS=$listen
ETCD_ADVERTISE_CLIENT_URLS=$etcd"
if [ "$(cat /etc/default/etcd)" != "$settings" ]; then
    echo "$settings" >/etc/default/etcd
    changed="$changed /etc/default/etcd"
fi

mkdir -p /etc/bgctl
cat >/etc/bgctl/bgctl.toml <<END
[store]
endpoints = ["$etcd"]
END

# `docker ps` without sudo, as in the article.
if id vagrant >/dev/null 2>&1; then
    usermod --append --groups docker vagrant
fi

for service in $services; do
    systemctl --quiet is-enabled "$service" || systemctl --quiet enable "$service"
done

# In the build of the image nothing runs yet.
[ -d /run/systemd/system ] || exit 0
if [ -n "$changed" ]; then
    echo "changed: $changed"
    systemctl daemon-reload
    # shellcheck disable=SC2086 # a list of words
    systemctl restart $services
else
    # shellcheck disable=SC2086
    systemctl start $services
fi
