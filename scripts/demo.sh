#!/usr/bin/env bash
# Stylizes real footage: scripts/demo.sh [INPUT [OUTPUT]]
# Installs what is missing, builds, and writes a playable .mp4, .mov or .mkv with the audio kept.

start=$PWD
. "$(dirname "$0")/setup.sh"
absolute() { case $1 in /*) echo "$1" ;; *) echo "$start/$1" ;; esac; }
input=$(absolute "${1:-$PWD/assets/big_buck_bunny.mp4}")
output=$(absolute "${2:-$PWD/target/demo.mp4}")
[ -r "$input" ] || fail "INPUT '$input' cannot be read"

need_packages "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}" "${WINDOW_PACKAGES[@]}"
need_rust
need_onnxruntime
say "Building"
cargo build --release --locked --quiet --example stylize_file
say "Stylizing $input"
"${CARGO_TARGET_DIR:-target}/release/examples/stylize_file" "$input" "$output"
say "Done: $output"

# The line to type next, from the folder where this one was typed.
typed() { printf %q "$(realpath --no-symlinks --relative-to "$start" "$1")"; }
echo "Next, install the plugin for yourself and see the film in a window:"
echo
echo "    $(typed scripts/install.sh) && gst-launch-1.0 filesrc location=$(typed "$input") ! decodebin ! videoconvert ! styletransfer ! videoconvert ! autovideosink"
