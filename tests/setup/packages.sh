#!/usr/bin/env bash
# Installs the Debian packages that building (`build`) and testing (`test`) need: only those that are missing, so
# that a second run asks neither the network nor for a password.
set -euo pipefail

# A package is there when its command is, however it was installed; headers are looked up as packages.
declare -A command_of=([curl]=curl [pkg-config]=pkg-config [kcat]=kcat [maven]=mvn [default-jdk-headless]=javac [openssl]=openssl [nodejs]=node [npm]=npm [chromium]=chromium [valgrind]=valgrind [strace]=strace [podman]=podman [buildah]=buildah [runc]=runc [debootstrap]=debootstrap)

# Some commands are only root's to run, and not in everybody's path.
PATH=$PATH:/usr/sbin:/sbin

groups=("$@")
packages=()
for group in "${groups[@]}"; do
    case "$group" in
        build) packages+=(build-essential pkg-config libssl-dev zlib1g-dev libzstd-dev curl) ;;
        test) packages+=(chromium kcat default-jdk-headless maven nodejs npm openssl python3-venv) ;;
        perf) packages+=(valgrind strace) ;;
        deploy) packages+=(nodejs npm python3-venv) ;;
        image) packages+=(podman buildah runc debootstrap) ;;
        *) echo "packages.sh: no group is named '$group' (build, test, perf, deploy, image)" >&2; exit 2 ;;
    esac
done

installed() {
    local command="${command_of[$1]:-}"
    if [[ -n $command ]]; then
        command -v "$command" >/dev/null
    else
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
    fi
}

require_rust() {
    local wanted have
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../../Cargo.toml")
    if ! command -v cargo >/dev/null; then
        echo "cargo is missing: install Rust $wanted or newer (https://rustup.rs), then run make again" >&2
        exit 1
    fi
    have=$(cargo --version | awk '{ print $2 }')
    if [[ $(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1) != "$wanted" ]]; then
        echo "cargo is $have, Millrun needs $wanted or newer: run 'rustup update', then make again" >&2
        exit 1
    fi
}

install() {
    local as_root=()
    if ! command -v apt-get >/dev/null; then
        echo "missing: $*; this system has no apt-get: install their equivalents, then run make again" >&2
        exit 1
    fi
    if [[ $(id -u) -ne 0 ]]; then
        if ! command -v sudo >/dev/null; then
            echo "missing packages, and neither root nor sudo to install them. As root: apt-get install $*" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "Installing $*"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

require_rust
missing=()
for package in "${packages[@]}"; do
    installed "$package" || missing+=("$package")
done
if [[ ${#missing[@]} -gt 0 ]]; then
    install "${missing[@]}"
fi
