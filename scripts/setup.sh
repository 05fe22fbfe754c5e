# Sourced by the other scripts: installs what is missing and finds ONNX Runtime.
# Debian packages with apt (as root or with sudo), Rust with rustup, ONNX Runtime from its PyPI wheel into target/.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

RUST_NEEDED=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
ORT_VERSION=1.24.1
ORT_OPENVINO_VERSION=1.24.1
ORT_WEBGPU_VERSION=1.27.0

say() { printf '\033[1m== %s\033[0m\n' "$*"; }

fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; return; fi
    command -v sudo >/dev/null || fail "root is needed and there is no sudo; as root, run: $*"
    sudo "$@"
}

# need_packages NAME... : installs the Debian packages that are missing.
need_packages() {
    local missing=()
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
    done
    [ ${#missing[@]} = 0 ] && return
    if ! command -v apt-get >/dev/null; then
        echo "note: no apt-get here; if a later step fails, install the equivalents of: ${missing[*]}" >&2
        return
    fi
    say "Installing Debian packages: ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# need_rust : installs or updates Rust if there is none that is new enough.
need_rust() {
    [ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
    local found
    found=$(rustc --version 2>/dev/null | cut -d ' ' -f 2 || true)
    if [ -n "$found" ] && [ "$(printf '%s\n' "$RUST_NEEDED" "$found" | sort -V | head -n 1)" = "$RUST_NEEDED" ]; then
        return
    fi
    say "Installing Rust (found: ${found:-none}, needed: $RUST_NEEDED)"
    if command -v rustup >/dev/null; then
        rustup toolchain install stable --profile minimal --component clippy,rustfmt
        rustup default stable
    else
        need_packages curl ca-certificates
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
            sh -s -- -y --profile minimal --component clippy,rustfmt ||
            fail "Rust was not installed; install version $RUST_NEEDED or newer by hand (https://rustup.rs) and try again"
        . "$HOME/.cargo/env"
    fi
}

# onnxruntime_wheel : prints name and version of the PyPI wheel whose library is best on this processor.
# OpenVINO's gain is in 8 bit integers, and only VNNI instructions compute them exactly. Measured at 640x360 and 1280x720
# with the network of the built-in styles: time as a multiple of the CPU provider's with fp32, and the mean difference
# from its picture.
#   Xeon, VNNI        OpenVINO int8 0.39 to 0.63, 0.5 to 1.6/255    OpenVINO fp32 0.8 to 0.85
#   EPYC, AVX2 only   OpenVINO int8 0.8 to 1.0, 2.7 to 4.5/255      OpenVINO fp32 1.2 to 1.4
# Versions 1.24.4, 1.27.0, 1.31.1 and 1.32.0 of the CPU library took 0.97 to 1.06 of the time of 1.24.1; all of them run
# on Debian 12 (they need glibc 2.28).
onnxruntime_wheel() {
    if [ "$(uname -m)" = x86_64 ] && grep -qE '^flags.*\bavx(512)?_vnni\b' /proc/cpuinfo; then
        echo "onnxruntime-openvino $ORT_OPENVINO_VERSION"
    else
        echo "onnxruntime $ORT_VERSION"
    fi
}

# need_onnxruntime : sets ORT_DYLIB_PATH; a library that the caller has set there is kept.
need_onnxruntime() {
    if [ -n "${ORT_DYLIB_PATH:-}" ]; then
        say "ONNX Runtime: $ORT_DYLIB_PATH (from ORT_DYLIB_PATH)"
        return
    fi
    local wheel version
    read -r wheel version < <(onnxruntime_wheel)
    ORT_DYLIB_PATH=$PWD/target/$wheel/onnxruntime/capi/libonnxruntime.so.$version
    if [ ! -f "$ORT_DYLIB_PATH" ]; then
        python3 -m pip --version >/dev/null 2>&1 || need_packages python3 python3-pip
        say "Installing $wheel $version from PyPI into target/$wheel"
        rm -rf "target/$wheel"
        python3 -m pip install --quiet --root-user-action=ignore --no-deps --target "target/$wheel" "$wheel==$version"
        [ -f "$ORT_DYLIB_PATH" ] || fail "the wheel $wheel $version has no '$ORT_DYLIB_PATH'"
    fi
    export ORT_DYLIB_PATH
    say "ONNX Runtime: $ORT_DYLIB_PATH"
}

# build_plugin : sets PLUGIN, the path of the release build; the default features have nothing for tests.
build_plugin() {
    say "Building the plugin"
    cargo build --release --locked --quiet --lib
    PLUGIN=${CARGO_TARGET_DIR:-$PWD/target}/release/libgststyletransfer.so
}

# need_trainer : sets TRAINER_PYTHON and TRAINER_PYTHONPATH, so that it finds PyTorch, onnx and ONNX Runtime.
need_trainer() {
    local wheel
    wheel=$(dirname "$(dirname "$(dirname "$ORT_DYLIB_PATH")")")
    for TRAINER_PYTHON in python3 /usr/bin/python3; do
        for TRAINER_PYTHONPATH in "$wheel" "$PWD/target/onnxruntime-trainer"; do
            if trainer_imports torch onnx onnxruntime PIL; then return; fi
        done
    done
    need_packages python3-torch python3-onnx python3-pil python3-pip
    TRAINER_PYTHONPATH=$wheel
    if trainer_imports onnxruntime; then return; fi
    TRAINER_PYTHONPATH=$PWD/target/onnxruntime-trainer
    say "Installing onnxruntime==$ORT_VERSION from PyPI into $TRAINER_PYTHONPATH"
    "$TRAINER_PYTHON" -m pip install --quiet --root-user-action=ignore --no-deps --target "$TRAINER_PYTHONPATH" "onnxruntime==$ORT_VERSION"
}

trainer_imports() {
    local module
    for module in "$@"; do
        PYTHONPATH=$TRAINER_PYTHONPATH "$TRAINER_PYTHON" -c "import $module" >/dev/null 2>&1 || return 1
    done
}

BUILD_PACKAGES=(gcc libc6-dev pkg-config libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev)
RUN_PACKAGES=(gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
    gstreamer1.0-plugins-ugly gstreamer1.0-libav)
# Sinks for a window on X11, Wayland and OpenGL; without them autovideosink shows nothing or letters.
WINDOW_PACKAGES=(gstreamer1.0-x gstreamer1.0-gl)

# need_webgpu : sets STYLETRANSFER_WEBGPU, a folder with ONNX Runtime's WebGPU build and a Vulkan driver that computes on the
# CPU, for tests/device.rs alone. There is such a build for x86-64 only.
need_webgpu() {
    [ "$(uname -m)" = x86_64 ] || return 0
    local wheel="onnxruntime-webgpu==$ORT_WEBGPU_VERSION" packages=target/onnxruntime-webgpu folder=$PWD/target/webgpu
    need_packages gcc libc6-dev libvulkan1 mesa-vulkan-drivers
    if ! ls "$packages"/onnxruntime/capi/libonnxruntime.so.1.* >/dev/null 2>&1; then
        command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 || need_packages python3 python3-pip
        say "Installing $wheel from PyPI into $packages"
        python3 -m pip install --quiet --root-user-action=ignore --no-deps --target "$packages" "$wheel"
    fi
    mkdir -p "$folder"
    cc -shared -fPIC -o "$folder/libicd.so" tests/vulkan/icd.c -ldl
    printf '{ "file_format_version": "1.0.0", "ICD": { "library_path": "%s", "api_version": "1.1.0" } }\n' \
        "$folder/libicd.so" >"$folder/icd.json"
    ln -sfn "$(ls "$PWD/$packages"/onnxruntime/capi/libonnxruntime.so.1.* | head -n 1)" "$folder/libonnxruntime.so"
    export STYLETRANSFER_WEBGPU=$folder
    say "WebGPU on software Vulkan: $folder"
}
