#!/usr/bin/env bash
# Installs the Debian package in clean Debian systems and uses it there: scripts/test_deb.sh [SUITE...]
# Without SUITE: bookworm, with ONNX Runtime from PyPI, and trixie, with its own. Needs root: debootstrap and chroot.
# DEB=FILE tests that package, MIRROR=URL takes another mirror than this machine's.

. "$(dirname "$0")/setup.sh"
[ "$(id -u)" = 0 ] || fail "debootstrap and chroot need root; run: sudo scripts/test_deb.sh $*"
[ $# -gt 0 ] || set -- bookworm trixie
need_packages debootstrap
if [ -z "${DEB:-}" ]; then
    scripts/package_deb.sh target/debian
    DEB=$(ls -t target/debian/*.deb | head -n 1)
fi
[ -r "$DEB" ] || fail "the package '$DEB' cannot be read"

MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)}
[ -n "$MIRROR" ] || fail "apt names no mirror on this machine; name one in the environment variable MIRROR"
scratch=$(mktemp -d)
trap 'rm -rf --one-file-system "$scratch"' EXIT

# inside COMMAND... : runs it in the root, which sees its own processes only; what it mounts goes with it.
inside() {
    unshare --mount --pid --fork --mount-proc="$ROOT/proc" chroot "$ROOT" /usr/bin/env -i \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}
# as_user LINE : runs a shell line as somebody who logs in.
as_user() { inside su --login somebody --command "$1"; }
inside_apt() {
    inside apt-get -qq -y "$@" >"$scratch/apt.log" 2>&1 || { tail "$scratch/apt.log" >&2; fail "apt-get $* failed"; }
}

make_root() {
    say "$1: making a clean system"
    ROOT=$scratch/$1
    debootstrap --variant=minbase "$1" "$ROOT" "$MIRROR" >"$scratch/debootstrap.log" ||
        { tail "$scratch/debootstrap.log" >&2; fail "debootstrap of $1 from $MIRROR failed"; }
    # How this machine reaches the mirror and PyPI: proxies, certificates, pip's settings.
    apt-config dump | grep -E '^Acquire::(http|https|Check)' >"$ROOT/etc/apt/apt.conf.d/90machine" || true
    mkdir -p "$ROOT/etc/ssl"
    if cp -L /etc/ssl/certs/ca-certificates.crt "$ROOT/etc/ssl/machine.crt" 2>/dev/null; then
        echo 'Acquire::https::CAInfo "/etc/ssl/machine.crt";' >>"$ROOT/etc/apt/apt.conf.d/90machine"
    fi
    cp /etc/pip.conf "$ROOT/etc/" 2>/dev/null || true
    # No service starts.
    printf '#!/bin/sh\nexit 101\n' >"$ROOT/usr/sbin/policy-rc.d"
    chmod 755 "$ROOT/usr/sbin/policy-rc.d"
    inside useradd --create-home --shell /bin/bash somebody
    inside_apt update
}

LINE='gst-launch-1.0 -q videotestsrc num-buffers=3 ! video/x-raw,format=RGB,width=160,height=90'

# The same three frames with and without the element: as many bytes, other pictures, and each one another.
use() {
    say "$1: gst-inspect-1.0 and a pipeline"
    as_user 'gst-inspect-1.0 styletransfer' | sed -n 1,12p
    # Debian 13's library prints hundreds of lines "Schema error" in every program that loads a model.
    as_user "$LINE ! filesink location=plain.rgb && $LINE ! styletransfer ! filesink location=stylized.rgb" \
        2> >(grep -vE '^(Schema error.*)?$' >&2)
    local home=$ROOT/home/somebody
    [ "$(stat -c %s "$home/stylized.rgb")" = $((3 * 160 * 90 * 3)) ] || fail "$1: not three frames came out"
    ! cmp -s "$home/plain.rgb" "$home/stylized.rgb" || fail "$1: the frames came out as they went in"
    echo "three frames stylized"
}

# Debian 12 has no package of ONNX Runtime: without it the pipeline says so, with the wheel it works.
add_wheel() {
    say "$1: without ONNX Runtime"
    local said
    if said=$(as_user "$LINE ! styletransfer ! fakesink 2>&1"); then fail "$1: ONNX Runtime is there already"; fi
    grep -m1 'was not found' <<<"$said" || fail "$1: the error does not say what is missing: $said"
    say "$1: ONNX Runtime from PyPI"
    inside_apt install --no-install-recommends python3-pip
    local settings="PIP_DISABLE_PIP_VERSION_CHECK=1"
    if [ -f "$ROOT/etc/ssl/machine.crt" ]; then settings+=" PIP_CERT=/etc/ssl/machine.crt"; fi
    # The command of README.Debian.
    as_user "$settings $(grep -o 'python3 -m pip install .*' scripts/debian/README.Debian)"
}

remove() {
    say "$1: removed"
    inside_apt purge gstreamer1.0-styletransfer
    if as_user 'gst-inspect-1.0 styletransfer' >/dev/null 2>&1; then fail "$1: the element is still there"; fi
    local left
    left=$(find "$ROOT/usr" -name '*styletransfer*')
    [ -z "$left" ] || fail "$1: left behind: $left"
}

for suite in "$@"; do
    make_root "$suite"
    cp "$DEB" "$ROOT/tmp/"
    say "$suite: installing $(basename "$DEB") and what it recommends"
    inside_apt install "/tmp/$(basename "$DEB")"
    if ! compgen -G "$ROOT/usr/lib/*/libonnxruntime.so*"; then add_wheel "$suite"; fi
    use "$suite"
    remove "$suite"
    rm -rf --one-file-system "$ROOT"
done
say "Passed: $*"
