#!/usr/bin/env bash
# Builds a Debian package of the plugin: scripts/package_deb.sh [FOLDER], which is target/debian if none is named.
# A package that is built on Debian 12 installs on Debian 12 and 13. No ONNX Runtime is in it.

start=$PWD
. "$(dirname "$0")/setup.sh"
folder=${1:-$PWD/target/debian}
case $folder in /*) ;; *) folder=$start/$folder ;; esac

need_packages "${BUILD_PACKAGES[@]}" binutils dpkg-dev python3
need_rust
build_plugin

name=gstreamer1.0-styletransfer
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
architecture=$(dpkg --print-architecture)
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
# Debian's own variables name who packages; else the author of the last commit.
maintainer="${DEBFULLNAME:-$(git log -1 --format=%an)} <${DEBEMAIL:-$(git log -1 --format=%ae)}>"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root
doc=$root/usr/share/doc/$name
installed=$root/usr/lib/$multiarch/gstreamer-1.0/libgststyletransfer.so
umask 022

say "Packaging $name $version for $architecture"
install -D -m 644 "$PLUGIN" "$installed"
strip --strip-unneeded --remove-section=.comment --remove-section=.note "$installed"
install -D -m 644 -t "$doc" README.md
install -D -m 644 -t "$doc/examples" pipelines/*.launch
sed "s|@MULTIARCH@|$multiarch|g" scripts/debian/README.Debian >"$doc/README.Debian"
python3 scripts/debian/copyright.py "$doc"
gzip -9n "$doc/crates.txt"
cat >"$stage/changelog" <<END
$name ($version) unstable; urgency=medium

  * What changed is in the project's CHANGELOG.md.

 -- $maintainer  $(LC_ALL=C date --utc --date "@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S +0000')
END
gzip -9n <"$stage/changelog" >"$doc/changelog.gz"

# What the library needs, with the versions that its symbols ask for; GStreamer refuses a plugin for a newer version of it.
mkdir -p "$stage/source/debian" "$root/DEBIAN"
printf 'Source: %s\n\nPackage: %s\nArchitecture: any\n' "$name" "$name" >"$stage/source/debian/control"
depends=$(cd "$stage/source" && dpkg-shlibdeps -O "$installed" | sed -n 's/^shlibs:Depends=//p' |
    sed -E 's/(libgstreamer[a-z1.-]*-0) \(>= [^)]*\)/\1 (>= 1.22)/g')
size=$(du -sk --exclude DEBIAN "$root" | cut -f 1)
sed -e "s|@NAME@|$name|" -e "s|@VERSION@|$version|" -e "s|@ARCHITECTURE@|$architecture|" \
    -e "s|@MAINTAINER@|$maintainer|" -e "s|@SIZE@|$size|" -e "s|@DEPENDS@|$depends|" \
    scripts/debian/control.in >"$root/DEBIAN/control"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
find "$root" -print0 | xargs -0 touch --no-dereference --date "@$SOURCE_DATE_EPOCH"

mkdir -p "$folder"
DEB=$folder/${name}_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$DEB" >/dev/null
say "Done: $DEB"
echo "Install it with: sudo apt-get install $(printf %q "$DEB")"
