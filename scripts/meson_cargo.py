"""Builds the plugin with plain cargo for meson: library to OUTPUT, its sources to DEPFILE.

Arguments: CARGO SOURCE_ROOT BUILD_DIR OUTPUT DEPFILE BUILDTYPE
"""
import os
import pathlib
import shutil
import subprocess
import sys

cargo, source, build, output, depfile, buildtype = sys.argv[1:]
# A debug build of the pixel loops is of no use to anybody but a debugger: only an explicit `debug` gives one.
profile = "dev" if buildtype == "debug" else "release"
# A folder of cargo that is there already, as that of CI, saves building everything once more.
folder = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", pathlib.Path(build) / "cargo")).resolve()
command = [cargo, "build", "--lib", "--no-default-features", "--features", "plugin", "--profile", profile, "--target-dir", str(folder)]
subprocess.run(command + ["--manifest-path", str(pathlib.Path(source) / "Cargo.toml")], check=True)
built = folder / ("debug" if profile == "dev" else "release") / "libgststyletransfer.so"
shutil.copy2(built, output)
sources = built.with_suffix(".d").read_text().split(":", 1)[1]
pathlib.Path(depfile).write_text(f"{output}:{sources}")
