# Sourced by the scripts that fetch packages of another Debian release: apt with a configuration of its own
# below the folder $making, so that the machine's is only read. What it fetches is checked against Debian's keys.
# shellcheck shell=sh disable=SC2154 # making is the caller's

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Where what was fetched is kept: outside the tree, so that a new checkout has it too.
cache_folder() {
    if [ -n "${EVERCALL_ROOTS:-}" ]; then
        echo "$EVERCALL_ROOTS"
    elif [ "$(id -u)" = 0 ]; then
        echo /var/cache/evercall
    else
        echo "${XDG_CACHE_HOME:-$HOME/.cache}/evercall"
    fi
}

known_archive() {
    apt-get indextargets --format '$(REPO_URI)|$(ORIGIN)|$(LABEL)' 'Created-By: Packages' |
        sed -n "s,/*|Debian|$1\$,,p" | sed -n 1p
}

# archive [LABEL]: the Debian archive that this machine's apt is set to; its lists must have been fetched once.
archive() {
    known=$(known_archive "${1:-Debian}")
    if [ -z "$known" ] && [ "$(id -u)" = 0 ]; then
        apt-get update -q >&2
        known=$(known_archive "${1:-Debian}")
    fi
    if [ -z "$known" ]; then
        echo "apt of this machine knows no archive of ${1:-Debian}" >&2
        return 1
    fi
    echo "$known"
}

# private_apt apt-get|apt-cache ARGUMENT...
private_apt() {
    tool=$1
    shift
    "$tool" -q \
        -o Dir::Etc::sourcelist="$making/apt/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State="$making/apt/state" -o Dir::State::status="$making/apt/status" \
        -o Dir::Cache="$making/apt/cache" -o APT::Architecture=amd64 -o APT::Architectures=amd64 \
        -o APT::Sandbox::User= -o Acquire::Languages=none -o APT::Update::Error-Mode=any "$@"
}

# private_lists SOURCE...: fetches the package lists of sources, each "ARCHIVE SUITE COMPONENT".
private_lists() {
    mkdir -p "$making/apt/state/lists/partial" "$making/apt/cache/archives/partial"
    : >"$making/apt/status"
    for source in "$@"; do
        echo "deb [signed-by=$keyring target=Packages] $source"
    done >"$making/apt/sources.list"
    private_apt apt-get update
}
