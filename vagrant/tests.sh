# shellcheck shell=sh
# `vagrant/sandbox test`: all tests, and what CI runs. Read by vagrant/sandbox, whose functions and variables it uses.

passed=0 failed=0

# check TITLE COMMAND...: runs it, counts it, goes on
check() {
    title=$1 started=$(date +%s)
    shift
    say "$title"
    if "$@" </dev/null; then
        passed=$((passed + 1))
        say "$title: passed in $(($(date +%s) - started)) s"
    else
        failed=$((failed + 1))
        say "$title: FAILED after $(($(date +%s) - started)) s"
    fi
}

# The last line that is printed, however the tests end.
sum_up() {
    [ "$1" = 0 ] || [ "$failed" != 0 ] || failed=1
    echo "$passed passed, $failed failed"
}

# Where distributions differ: in systemd, Docker, nginx, etcd and cgroups.
differ='install:: switch:: program:: docker:: rollback:: abort:: repair:: uninstall:: follow:: reload:: state_directory:: sites_folder::
    stage:: companions:: stop_first:: verify:: crash::switch_goes_on_'

run_tests() {
    case ${1:-} in
    '') ;;
    --all)
        differ=''
        export BGCTL_ALL=1
        ;;
    *) die "test: unknown option $1" ;;
    esac
    need shellcheck shellcheck "to check the shell scripts"
    need vagrant vagrant "to try the Vagrantfile"
    need systemd-analyze systemd "to check the units"
    need groff groff-base "to check the manual pages"
    need mandoc mandoc "to check the manual pages"
    prepare_build
    command -v cargo-deny >/dev/null ||
        stage "installing cargo-deny, which checks the dependencies" cargo install --quiet --locked cargo-deny --version ^0.20
    prepare_engine

    check "format" cargo fmt --all --check
    check "lints" cargo clippy --quiet --workspace --all-targets -- --deny warnings
    check "shell scripts" shellcheck -x vagrant/sandbox vagrant/demo vagrant/push-release vagrant/walk \
        vagrant/container/init vagrant/provision/*.sh tests/bench/article.sh .ci/run
    check "licences and sources" cargo deny --log-level error check licenses bans sources
    check_advisories

    stage "building bgctl" cargo build --release --package bgctl
    stage "building the demo app" build_demo
    host=bgctl-test
    remove_host >/dev/null
    boot $host
    # Its nginx reads the sites that are rendered; other tests boot hosts of their own.
    export BGCTL_HOST=$host
    check "tests" all_tests
    stage "building the benchmark" cargo build --release --package bench
    check "20 switches under load lose nothing" in_host -c \
        '/vagrant/target/release/bench requests --quick --out /tmp/bench'
    [ "$failed" != 0 ] || remove_host >/dev/null

    vagrant_tests

    debian=trixie
    make_image
    check "tests on Debian 13 with cgroup v2" tests_on_other_hosts
    [ "$failed" = 0 ]
}

# The known vulnerabilities are in a git repository of their own, which not every machine reaches.
check_advisories() {
    database=https://github.com/RustSec/advisory-db
    if timeout 30 git ls-remote --exit-code $database main >/dev/null 2>&1; then
        check "advisories" cargo deny --log-level error check advisories
    else
        say "advisories: not checked, since $database cannot be reached from here"
    fi
}

all_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        # Those with hosts mostly wait, for hosts and for each other.
        cargo nextest run --workspace --test-threads "$(($(nproc) + 1))"
    else
        cargo test --workspace --lib --bins --tests --no-fail-fast
    fi
}

tests_on_other_hosts() {
    export BGCTL_BASE=trixie BGCTL_CGROUP=v2
    # shellcheck disable=SC2086 # a list of words
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --package bgctl --test system --test-threads "$(($(nproc) + 1))" -- $differ
    else
        cargo test --package bgctl --test system --no-fail-fast -- $differ
    fi
}

# Vagrant for real, with the provider that needs no hypervisor, beside whatever the user has running.
vagrant_tests() {
    export VAGRANT_HOME="$CARGO_TARGET_DIR/vagrant/home" VAGRANT_DOTFILE_PATH="$CARGO_TARGET_DIR/vagrant/machine"
    export VAGRANT_CHECKPOINT_DISABLE=1 BGCTL_HOSTS=1 BGCTL_IMAGE="$image"
    mkdir -p "$VAGRANT_HOME"
    vagrant destroy --force >/dev/null 2>&1 || true
    check "vagrant up --provider=docker" vagrant up --provider=docker
    check "the article's walk" vagrant ssh -c 'sudo sh /vagrant/vagrant/walk'
    check "vagrant destroy" vagrant destroy --force
    check "the Vagrantfile for VirtualBox" validate_virtualbox
}

# Vagrant looks at the block of a provider only where that one is there: as far as it asks, a version is enough.
validate_virtualbox() {
    printf '#!/bin/sh\necho 7.0.20r163906\n' >"$VAGRANT_HOME/VBoxManage"
    chmod +x "$VAGRANT_HOME/VBoxManage"
    PATH="$VAGRANT_HOME:$PATH" VAGRANT_DEFAULT_PROVIDER=virtualbox vagrant validate
}
