#!/bin/sh
# Installs bgctl as it was built in the synced folder; a second run does nothing unless the program has changed.
set -eu

built=/vagrant/target/release/bgctl

if ! "$built" --version >/dev/null 2>&1; then
    echo "cannot run /vagrant/target/release/bgctl: build it with 'cargo build --release' on a Linux like this one" \
        "(Rust from rustup.rs, packages gcc, protobuf-compiler and libprotobuf-dev), then provision again" >&2
    exit 1
fi
if ! cmp --quiet "$built" /usr/local/bin/bgctl; then
    # By rename: the program may be running.
    install --mode 0755 "$built" /usr/local/bin/.bgctl.new
    mv /usr/local/bin/.bgctl.new /usr/local/bin/bgctl
    echo "installed /usr/local/bin/bgctl"
fi
