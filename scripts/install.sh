#!/usr/bin/env bash
# Builds the plugin and installs it with ONNX Runtime, so that GStreamer finds both without environment variables.

set -euo pipefail

usage() {
    cat <<'END'
Usage: scripts/install.sh [--system] [--uninstall] [--help]

Installs what is missing (Debian packages, Rust, ONNX Runtime from PyPI), builds the plugin, and installs it:

  without options  for this user: the plugin in ~/.local/share/gstreamer-1.0/plugins, ONNX Runtime in
                   ~/.local/share/gst-plugin-styletransfer (XDG_DATA_HOME in place of ~/.local/share, if it is set)
  --system         for all users, as root or with sudo: the plugin in GStreamer's plugin folder, ONNX Runtime in
                   /usr/local/lib/gst-plugin-styletransfer
  --uninstall      removes what this script installed for this user, or with --system for all users; packages and
                   Rust stay

If ORT_DYLIB_PATH is set, that library is used where it is, and none is installed. A second run updates the first.
END
}

scope=user action=install
for option in "$@"; do
    case $option in
        --system) scope=system ;;
        --uninstall) action=uninstall ;;
        -h | --help) usage; exit ;;
        *) echo "error: unknown option '$option'; scripts/install.sh --help lists them" >&2; exit 2 ;;
    esac
done
library_of_user=${ORT_DYLIB_PATH:+$(realpath --no-symlinks "$ORT_DYLIB_PATH")}
. "$(dirname "$0")/setup.sh"

if [ "$scope" = user ] && [ "$(id -u)" = 0 ] && [ -n "${SUDO_USER:-}" ]; then
    fail "under sudo this would install for root; run it without sudo for yourself, or with --system for all users"
fi

# Where the plugin and ONNX Runtime go. The library has a folder outside GStreamer's, which takes every .so for a plugin.
if [ "$scope" = user ]; then
    data=${XDG_DATA_HOME:-$HOME/.local/share}
    plugins=$data/gstreamer-1.0/plugins
    ours=$data/gst-plugin-styletransfer
    privileged() { "$@"; }
else
    if [ "$action" = install ]; then need_packages "${BUILD_PACKAGES[@]}"; fi
    plugins=$(pkg-config --variable=pluginsdir gstreamer-1.0 2>/dev/null) ||
        fail "pkg-config does not know GStreamer's plugin folder; install pkg-config and libgstreamer1.0-dev"
    ours=/usr/local/lib/gst-plugin-styletransfer
    privileged() { as_root "$@"; }
    owner=$(dpkg-query -S "$plugins/libgststyletransfer.so" 2>/dev/null | cut -d : -f 1 || true)
    [ -z "$owner" ] || fail "the plugin in '$plugins' belongs to the package $owner; remove it first: apt-get remove $owner"
fi
plugin=$plugins/libgststyletransfer.so
record=$plugins/styletransfer.onnxruntime
runtime=$ours/onnxruntime

uninstall() {
    local found=()
    for path in "$plugin" "$record" "$runtime"; do
        if [ -e "$path" ]; then found+=("$path"); fi
    done
    if [ ${#found[@]} = 0 ]; then
        say "Nothing to remove: neither '$plugin' nor '$runtime' exists"
        return
    fi
    privileged rm -rf "${found[@]}"
    if [ -d "$ours" ]; then privileged rmdir --ignore-fail-on-non-empty "$ours"; fi
    say "Removed ${found[*]}"
}

# Files are replaced, never rewritten: a running pipeline keeps the library that it has loaded, and GStreamer looks again
# at a plugin that it once refused.
install_runtime() {
    local folder
    folder=$(dirname "$ORT_DYLIB_PATH")
    say "Installing ONNX Runtime into $runtime"
    privileged rm -rf "$runtime.new"
    privileged install -d "$runtime.new"
    find "$folder" -maxdepth 1 -name '*.so*' ! -name '*pybind*' -print0 |
        privileged xargs -0r install -m 644 -t "$runtime.new"
    find "$folder/.." -maxdepth 1 \( -name LICENSE -o -name ThirdPartyNotices.txt \) -print0 |
        privileged xargs -0r install -m 644 -t "$runtime.new"
    privileged rm -rf "$runtime"
    privileged mv "$runtime.new" "$runtime"
}

# The plugin reads this file: the path of the library.
install_record() {
    local text
    text=$(mktemp)
    echo "${library_of_user:-$runtime/$(basename "$ORT_DYLIB_PATH")}" >"$text"
    privileged install -m 644 "$text" "$record"
    rm "$text"
}

# Runs a program as a new shell would: without the variables that lead GStreamer or the plugin elsewhere.
as_new_shell() {
    env -u ORT_DYLIB_PATH -u GST_PLUGIN_PATH -u GST_PLUGIN_PATH_1_0 -u GST_PLUGIN_SYSTEM_PATH \
        -u GST_PLUGIN_SYSTEM_PATH_1_0 -u GST_REGISTRY -u GST_REGISTRY_1_0 -u VIRTUAL_ENV "$@"
}

check() {
    say "Checking: gst-inspect-1.0 and five frames"
    local found
    found=$(as_new_shell gst-inspect-1.0 styletransfer | sed -n 's/^ *Filename *//p') ||
        fail "GStreamer does not load '$plugin'; GST_DEBUG=GST_PLUGIN_LOADING:4 gst-inspect-1.0 '$plugin' shows why"
    if [ ! "$found" -ef "$plugin" ]; then
        echo "warning: GStreamer takes another copy of the plugin, '$found'; remove it to use '$plugin'" >&2
    fi
    as_new_shell gst-launch-1.0 -q videotestsrc num-buffers=5 ! video/x-raw,width=160,height=90 ! styletransfer ! fakesink ||
        fail "the plugin is installed but does not stylize; the reason stands above"
}

if [ "$action" = uninstall ]; then
    uninstall
    exit
fi

need_packages "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}" "${WINDOW_PACKAGES[@]}"
need_rust
need_onnxruntime
build_plugin
if [ -z "$library_of_user" ]; then install_runtime; fi
say "Installing the plugin: $plugin"
privileged install -D -m 644 "$PLUGIN" "$plugin"
install_record
check
say "Installed. In any shell, for example: gst-launch-1.0 videotestsrc ! styletransfer ! videoconvert ! autovideosink"
