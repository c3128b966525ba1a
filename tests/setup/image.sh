#!/usr/bin/env bash
# The container image as the tests run it.
#
#   image.sh root            makes the base root from Debian packages, once, in $MILLRUN_TOOLS/image (default: .tools/image
#                            at the repository's root)
#   image.sh build BINARY    builds the image localhost/millrun:test around a binary that is already built, by
#                            deploy/container/Dockerfile, in $MILLRUN_TEST_IMAGE_STORAGE (default: target/image)
#
# No image is pulled and no daemon is asked: buildah builds in a chroot, and images and containers have a storage of
# their own. The binary was linked against this machine's libraries, so the root is of this machine's Debian release.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=${MILLRUN_TOOLS:-$PWD/.tools}
architecture=$(dpkg --print-architecture)
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
root=$tools/image/root-$release-$architecture.tar
packages=ca-certificates,libssl3,zlib1g

if [[ $(id -u) -ne 0 ]]; then
    echo "image.sh: the tests of the image mount and run containers: run them as root" >&2
    exit 1
fi

# What is being made is thrown away, however this ends.
unfinished=
trap 'rm -rf "$unfinished"' EXIT

# From where this machine's own packages come.
mirror() {
    apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" "Codename: $release" "Component: main" |
        head -n 1
}

make_root() {
    if [[ -e $root ]]; then return; fi
    local site fresh
    site=$(mirror)
    mkdir -p "$tools/image"
    fresh=$(mktemp -d "$tools/image/fresh.XXXXXX")
    unfinished=$fresh
    if ! debootstrap --variant=minbase --include="$packages" "$release" "$fresh/root" ${site:+"$site"} >"$fresh/log" 2>&1; then
        tail -n 30 "$fresh/log" >&2
        echo "image.sh: no root could be made of $release's packages from ${site:-the default mirror}" >&2
        exit 1
    fi
    tar --create --directory="$fresh/root" --exclude=./var/cache/apt --file="$fresh/root.tar" .
    mv "$fresh/root.tar" "$root"
    rm -rf "$fresh"
    echo "image: $root"
}

build() {
    local binary=$1 storage context base
    storage=$(realpath --canonicalize-missing "${MILLRUN_TEST_IMAGE_STORAGE:-${CARGO_TARGET_DIR:-target}/image}")
    mkdir -p "$storage"
    local options=(--storage-driver vfs --root "$storage/storage" --runroot "$storage/run")
    base=localhost/millrun-base:$release
    if ! podman "${options[@]}" image exists "$base"; then
        podman "${options[@]}" import --quiet "$root" "$base" >/dev/null
    fi
    # What the Dockerfile takes from the repository, and the binary where PREBUILT says.
    context=$(mktemp -d "$storage/context.XXXXXX")
    unfinished=$context
    mkdir -p "$context/prebuilt/$architecture" "$context/deploy/container"
    cp "$binary" "$context/prebuilt/$architecture/millrun"
    cp deploy/container/gather.sh "$context/deploy/container/"
    cp .dockerignore "$context/"
    # Docker's format: the other one has no health checks.
    buildah "${options[@]}" bud --quiet --isolation chroot --format docker --pull-never \
        --build-arg COMPILE_BASE="$base" --build-arg LIBRARIES_BASE="$base" \
        --build-arg PREBUILT=prebuilt --build-arg TARGETARCH="$architecture" \
        --file deploy/container/Dockerfile --tag localhost/millrun:test "$context" >/dev/null
    # What runs that were killed have left behind, and the image of the last one, which has lost its name.
    podman "${options[@]}" container prune --force >/dev/null
    podman "${options[@]}" volume prune --force >/dev/null
    podman "${options[@]}" image prune --force >/dev/null
    podman "${options[@]}" image inspect --format 'image: {{.Size}} bytes' localhost/millrun:test
}

case "${1:-}" in
    root) make_root ;;
    build) make_root && build "${2:?image.sh build: which binary?}" ;;
    *) echo "usage: image.sh root | build BINARY" >&2; exit 2 ;;
esac
