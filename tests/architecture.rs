//! Rules of the source tree: one-way imports, length of files and functions, no panics, no unsafe code.

use std::path::{Path, PathBuf};

/// Folder or file, and what it may import from the crate.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("frame", &[]),
    ("tensor", &["frame"]),
    ("model", &["tensor"]),
    ("style", &["frame", "model"]),
    ("inference", &["frame", "tensor", "model", "style"]),
    ("flow", &["frame"]),
    ("confidence", &["frame", "flow"]),
    ("warp", &["frame", "tensor", "confidence"]),
    ("metrics", &["frame", "tensor", "flow", "confidence"]),
    ("temporal", &["frame", "tensor", "flow", "confidence", "warp", "metrics"]),
    ("upsample", &["frame"]),
    ("stylizer", &["frame", "tensor", "model", "style", "inference", "temporal"]),
    ("schedule", &["stylizer"]),
    (
        "element",
        &[
            "frame",
            "tensor",
            "model",
            "style",
            "inference",
            "confidence",
            "metrics",
            "temporal",
            "upsample",
            "schedule",
            "stylizer",
        ],
    ),
];

/// Files that call the C library: a child process for a provider that may abort, and the end of the process.
const UNSAFE: &[&str] = &["inference/background.rs", "inference/child.rs"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files.extend(sources(&path)),
            false if path.extension().is_some_and(|e| e == "rs") => files.push(path),
            false => {}
        }
    }
    files
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The part of a file before its tests. A file may be for tests as a whole.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let marks = ["#[cfg(test)]\nmod tests", "#![cfg(test)]", "#![cfg(all(test"];
    let end = marks.iter().filter_map(|mark| text.find(mark)).min().unwrap_or(text.len());
    text[..end].to_owned()
}

/// The module of a file: `tensor` for src/tensor/ingest.rs.
fn module(path: &Path) -> String {
    let relative = path.strip_prefix(src()).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn imports_go_one_way() {
    for path in sources(&src()) {
        let module = module(&path);
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            assert_eq!(module, "lib", "{path:?} is in no module of the table");
            continue;
        };
        for part in code(&path).split("crate::").skip(1) {
            let target: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let known = MAY_IMPORT.iter().any(|(name, _)| *name == target);
            let fine = !known || target == module || allowed.contains(&target.as_str());
            assert!(fine, "{path:?} imports crate::{target}");
        }
    }
}

#[test]
fn only_the_element_names_gstreamer_and_only_inference_names_the_runtime() {
    for path in sources(&src()) {
        let (module, text) = (module(&path), code(&path));
        let names = |word: &str| text.lines().any(|l| !l.trim_start().starts_with("//") && l.contains(word));
        if !["element", "lib"].contains(&module.as_str()) {
            assert!(!names("gst::") && !names("gst_video") && !names("glib::"), "{path:?} names GStreamer");
        }
        if !["inference", "element"].contains(&module.as_str()) {
            let runtime = [" ort::", "(ort::", "<ort::", "&ort::"].into_iter().any(names);
            assert!(!runtime, "{path:?} names ONNX Runtime");
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_are() {
    for path in sources(&src()) {
        let text = code(&path);
        let generated = path.ends_with("onnx/schema.rs");
        assert!(generated || text.lines().count() <= 500, "{path:?} has {} lines", text.lines().count());
        assert!(text.starts_with("//! "), "{path:?} does not say what it is");
    }
}

/// Name and lines of every function, found by rustfmt's indentation: a function ends with a brace in the column where it starts.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let starts = lines.iter().enumerate().filter_map(|(first, line)| {
        let code = line.trim_start();
        let (before, after) = code.split_once("fn ")?;
        let qualifiers = before
            .split_whitespace()
            .all(|word| word.starts_with("pub") || ["const", "async", "unsafe", "extern", "\"C\""].contains(&word));
        let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        (qualifiers && !name.is_empty()).then_some((first, line.len() - code.len(), name))
    });
    let length = |(first, indent, name): (usize, usize, String)| {
        let signature = lines[first..].iter().position(|l| l.ends_with(['{', ';', '}']))?;
        if !lines[first + signature].ends_with('{') {
            return Some((name, signature + 1));
        }
        let end = format!("{}}}", " ".repeat(indent));
        let body = lines[first + signature..].iter().position(|l| *l == end)?;
        Some((name, signature + body + 1))
    };
    starts.filter_map(length).collect()
}

#[test]
fn functions_are_found_with_their_length() {
    let text = "impl A {\n    pub fn short() {}\n\n    fn long(\n        a: u8,\n    ) {\n        if a {\n        }\n    }\n}\nfn last();\n";
    let expected = [("short", 1), ("long", 6), ("last", 1)].map(|(name, lines)| (name.to_owned(), lines));
    assert_eq!(functions(text), expected);
}

#[test]
fn functions_are_short() {
    for path in sources(&src()) {
        for (name, lines) in functions(&code(&path)) {
            assert!(lines <= 60, "{path:?}: {name} has {lines} lines");
        }
    }
}

#[test]
fn domain_code_does_not_panic_or_leave_the_safe_language() {
    for path in sources(&src()) {
        let text = code(&path);
        let may_be_unsafe = UNSAFE.iter().any(|file| path.ends_with(file));
        for word in [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "unsafe "] {
            if word == "unsafe " && may_be_unsafe {
                continue;
            }
            let found = text.lines().find(|l| l.contains(word) && !l.trim_start().starts_with("//"));
            assert!(found.is_none(), "{path:?}: {found:?}");
        }
    }
}
