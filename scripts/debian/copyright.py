"""Writes the package's copyright file and the licence texts of the crates that are linked into the plugin.

Arguments: FOLDER, which gets `copyright` and `crates.txt`. Runs in the root of the project.
"""
import json
import pathlib
import subprocess
import sys

PLUGIN = ["--locked", "--no-default-features", "--features", "plugin"]
HEAD = """\
gst-plugin-styletransfer: a GStreamer element that stylizes video with ONNX models.

Copyright (C) 2026 the developers of gst-plugin-styletransfer
License: MPL-2.0; the text is in /usr/share/common-licenses/MPL-2.0

The models inside the plugin
Copyright (C) 2026 the developers of gst-plugin-styletransfer, who waive it
License: CC0-1.0; the text is in /usr/share/common-licenses/CC0-1.0

Rust's standard library (MIT OR Apache-2.0) and these crates are linked into the plugin. Their licence texts and
copyright notices are in crates.txt.gz beside this file; the texts of Apache-2.0 and MPL-2.0 are in
/usr/share/common-licenses too.

"""


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def linked():
    """Name and version of the crates that the plugin is linked from, without itself."""
    tree = run("cargo", "tree", *PLUGIN, "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}")
    crates = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    return {(name, version.lstrip("v")) for name, version in crates if name != "gst-plugin-styletransfer"}


def texts(package):
    """The licence files of a crate."""
    folder = pathlib.Path(package["manifest_path"]).parent
    names = ("licen", "copying", "copyright", "notice", "unlicense")
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name.lower().startswith(names))
    return [path.read_text(errors="replace").strip() for path in files]


folder = pathlib.Path(sys.argv[1])
wanted = linked()
packages = json.loads(run("cargo", "metadata", "--format-version", "1", *PLUGIN))["packages"]
packages = sorted((p for p in packages if (p["name"], p["version"]) in wanted), key=lambda p: (p["name"], p["version"]))
with open(folder / "copyright", "w") as out:
    out.write(HEAD)
    for package in packages:
        out.write(f"  {package['name']} {package['version']}: {package['license']}\n")

# Many crates have the very same text: it stands once, below the names of all of them.
users = {}
for package in packages:
    authors = ", ".join(package["authors"])
    said = f"{package['name']} {package['version']}" + (f", by {authors}" if authors else "")
    for text in texts(package) or [f"No licence file; its metadata says {package['license']}."]:
        users.setdefault(text, []).append(said)
with open(folder / "crates.txt", "w") as out:
    for text, names in users.items():
        out.write("=" * 78 + "\n" + "\n".join(names) + "\n" + "-" * 78 + "\n" + text + "\n\n")
