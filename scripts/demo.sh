#!/usr/bin/env bash
# Stylizes real footage: scripts/demo.sh [INPUT [OUTPUT]]
# Installs what is missing, builds, and writes a playable .mp4, .mov or .mkv with the audio kept.

start=$PWD
. "$(dirname "$0")/setup.sh"
absolute() { case $1 in /*) echo "$1" ;; *) echo "$start/$1" ;; esac; }
input=$(absolute "${1:-$PWD/assets/big_buck_bunny.mp4}")
output=$(absolute "${2:-$PWD/target/demo.mp4}")
[ -r "$input" ] || { echo "INPUT '$input' cannot be read" >&2; exit 1; }

need_packages "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}"
need_rust
need_onnxruntime
say "Building"
cargo build --release --quiet --example stylize_file
say "Stylizing $input"
./target/release/examples/stylize_file "$input" "$output"
say "Done: $output"
