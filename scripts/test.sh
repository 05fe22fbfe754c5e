#!/usr/bin/env bash
# Runs every test; installs what is missing. Needs no GPU.

. "$(dirname "$0")/setup.sh"
need_packages "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}" ffmpeg gstreamer1.0-rtsp python3-gi gir1.2-gst-rtsp-server-1.0
need_rust
need_onnxruntime
need_trainer
need_webgpu
if ! cargo nextest --version >/dev/null 2>&1; then
    say "Installing cargo-nextest (tests that load libraries need a process each)"
    cargo install --quiet --locked cargo-nextest
fi

say "The core alone: no GStreamer, no ONNX Runtime"
PKG_CONFIG_LIBDIR=/nonexistent cargo nextest run --no-default-features
say "Everything"
export G_DEBUG=fatal-warnings
cargo nextest run --features test-support

say "The trainer, small: trains, resumes, exports, and runs the result in the element"
cargo build --quiet --features test-support
STYLETRANSFER_PLUGIN_PATH="$PWD/target/debug" PYTHONPATH="$TRAINER_PYTHONPATH" \
    "$TRAINER_PYTHON" -W ignore models/training/tests/test_trainer.py
