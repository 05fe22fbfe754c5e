//! The folder for engines that providers prepare and read again.
//!
//! Comes in: property `model-cache-dir`, or nothing. Goes out: a folder for one provider, made when it is needed. The oldest
//! files go when all providers' folders together exceed [`CACHE_LIMIT`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};

/// Bytes that prepared engines may take; an engine of TensorRT has about twice the size of its model.
pub const CACHE_LIMIT: u64 = 4 << 30;

/// Name of the folder among other programs' caches.
const NAME: &str = "gst-plugin-styletransfer";

/// The folder where property `model-cache-dir` is unset: `$XDG_CACHE_HOME/gst-plugin-styletransfer`, else
/// `$HOME/.cache/gst-plugin-styletransfer`, as the XDG Base Directory Specification has it. `None` where neither variable is
/// an absolute path.
pub fn default_cache_dir() -> Option<PathBuf> {
    cache_dir(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
}

fn cache_dir(cache: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let folder = cache.and_then(absolute).or_else(|| Some(home.and_then(absolute)?.join(".cache")));
    Some(folder?.join(NAME))
}

/// The folder for the engines of `provider`, with room in it. `None` if there is no default.
///
/// # Errors
/// A folder that was asked for cannot be made. The default folder is done without.
pub(super) fn folder(asked: Option<&Path>, provider: &str) -> Result<Option<PathBuf>> {
    let Some(all) = asked.map(Path::to_owned).or_else(default_cache_dir) else { return Ok(None) };
    let folder = all.join(provider);
    match std::fs::create_dir_all(&folder) {
        Ok(()) => {
            make_room(&all, CACHE_LIMIT);
            Ok(Some(folder))
        }
        Err(problem) if asked.is_none() => {
            super::log::info(&format!("no cache for engines: cannot make '{}': {problem}", folder.display()));
            Ok(None)
        }
        Err(problem) => Err(problem)
            .with_context(|| format!("property 'model-cache-dir': cannot make folder '{}'", folder.display())),
    }
}

/// Marks files whose names begin with `prefix` as used now: what is used stays longest.
pub(super) fn touch(folder: &Path, prefix: &str) {
    for (path, ..) in files(folder) {
        let is_meant = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
        if is_meant && let Ok(file) = std::fs::File::options().append(true).open(&path) {
            // A file that cannot be marked goes earlier than it could.
            let _ = file.set_modified(SystemTime::now());
        }
    }
}

/// Removes the files that were not used for longest until the providers' folders in `all` have `limit` bytes at most. Other
/// files in that folder are the user's.
fn make_room(all: &Path, limit: u64) {
    let keeping = super::providers::all().filter(|p| p.keeps_engines);
    let mut found: Vec<_> = keeping.flat_map(|provider| files(&all.join(provider.name))).collect();
    found.sort_by_key(|(_, used, _)| *used);
    let mut total: u64 = found.iter().map(|(.., size)| size).sum();
    for (path, _, size) in found {
        if total <= limit {
            return;
        }
        match std::fs::remove_file(&path) {
            Ok(()) => total -= size,
            Err(problem) => super::log::info(&format!("engine cache: cannot remove '{}': {problem}", path.display())),
        }
    }
}

/// Plain files, when they were last used, and their sizes in bytes.
fn files(folder: &Path) -> Vec<(PathBuf, SystemTime, u64)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let described = entries.filter_map(|entry| {
        let meta = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let used = meta.modified().ok()?.max(meta.accessed().ok()?);
        Some((entry.path(), used, meta.len()))
    });
    described.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_default_follows_the_specification() {
        let of = |cache: Option<&str>, home: Option<&str>| cache_dir(cache.map(Into::into), home.map(Into::into));
        assert_eq!(of(Some("/c"), Some("/h")), Some("/c/gst-plugin-styletransfer".into()));
        assert_eq!(of(None, Some("/h")), Some("/h/.cache/gst-plugin-styletransfer".into()));
        assert_eq!(of(Some("relative"), Some("/h")), Some("/h/.cache/gst-plugin-styletransfer".into()));
        assert_eq!(of(Some(""), None), None);
    }

    #[test]
    fn a_folder_is_made_when_it_is_needed_or_named_as_the_fault() {
        let cache = tempfile::tempdir().unwrap();
        let made = folder(Some(&cache.path().join("a/b")), "tensorrt").unwrap().unwrap();
        assert!(made.is_dir() && made.ends_with("a/b/tensorrt"));
        let file = cache.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let error = format!("{:#}", folder(Some(&file), "tensorrt").unwrap_err());
        assert!(error.contains("'model-cache-dir'") && error.contains("file/tensorrt"), "{error}");
    }

    #[test]
    fn the_oldest_engines_go_first_and_other_files_stay() {
        let cache = tempfile::tempdir().unwrap();
        let write = |name: &str, hours: u64| {
            let path = cache.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, [0; 100]).unwrap();
            let then = SystemTime::now() - Duration::from_secs(3600 * hours);
            let times = std::fs::FileTimes::new().set_modified(then).set_accessed(then);
            std::fs::File::options().append(true).open(&path).unwrap().set_times(times).unwrap();
            path
        };
        let old = [write("tensorrt/a.engine", 9), write("openvino/b.blob", 8)];
        let used = write("tensorrt/c.engine", 10);
        let new = write("openvino/d.blob", 2);
        let others = [write("notes.txt", 99), write("photos/e.jpg", 99)];
        touch(&cache.path().join("tensorrt"), "c.");
        make_room(cache.path(), 250);
        assert!(old.iter().all(|path| !path.exists()));
        assert!(used.exists() && new.exists() && others.iter().all(|path| path.exists()));
    }
}
