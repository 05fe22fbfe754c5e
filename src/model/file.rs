//! Reads a file that a user named, whole but bounded: regular files only, so that a device or a pipe cannot block or
//! fill the memory.
//!
//! Comes in: a path and a limit in bytes. Goes out: the content, or a [`FileError`] by kind.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Why a file was not read. The caller adds the path.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Nothing has this name.
    #[error("does not exist")]
    NotFound,
    /// The name is that of a folder, a device, a pipe or a socket.
    #[error("cannot be read: it is {0}, expected a regular file")]
    NotRegular(&'static str),
    /// Larger than the limit.
    #[error("is too large: {size} bytes, expected at most {limit}")]
    TooLarge {
        /// Bytes in the file.
        size: u64,
        /// Bytes that are read at most.
        limit: u64,
    },
    /// The system refuses.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
}

impl From<std::io::Error> for FileError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound,
            _ => Self::Unreadable(error),
        }
    }
}

/// The content of a regular file of at most `limit` bytes.
///
/// # Errors
/// By kind; a file larger than the limit is refused before it is read.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    // Before it is opened: opening a pipe waits for somebody who writes.
    check(&std::fs::metadata(path)?, limit)?;
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    check(&metadata, limit)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    // A file may grow while it is read.
    let size = file.take(limit + 1).read_to_end(&mut bytes)? as u64;
    if size > limit {
        return Err(FileError::TooLarge { size, limit });
    }
    Ok(bytes)
}

fn check(metadata: &std::fs::Metadata, limit: u64) -> Result<(), FileError> {
    let size = metadata.len();
    match kind(metadata.file_type()) {
        Some(kind) => Err(FileError::NotRegular(kind)),
        None if size > limit => Err(FileError::TooLarge { size, limit }),
        None => Ok(()),
    }
}

/// What a file is, if it is not regular.
fn kind(file: std::fs::FileType) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kinds = [
            (file.is_fifo(), "a pipe"),
            (file.is_socket(), "a socket"),
            (file.is_char_device() || file.is_block_device(), "a device"),
        ];
        if let Some((_, kind)) = kinds.into_iter().find(|(is, _)| *is) {
            return Some(kind);
        }
    }
    match () {
        () if file.is_dir() => Some("a folder"),
        () if file.is_file() => None,
        () => Some("no regular file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"1234").unwrap();
        assert_eq!(read_bounded(&path, 4).unwrap(), b"1234");
        assert!(matches!(read_bounded(&path, 3), Err(FileError::TooLarge { size: 4, limit: 3 })));
        assert!(matches!(read_bounded(&folder.path().join("none"), 4), Err(FileError::NotFound)));
        assert!(matches!(read_bounded(folder.path(), 4), Err(FileError::NotRegular("a folder"))));
    }

    #[test]
    #[cfg(unix)]
    fn devices_pipes_and_huge_files_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(matches!(read_bounded(&pipe, 4), Err(FileError::NotRegular("a pipe"))));
        assert!(matches!(read_bounded(Path::new("/dev/zero"), 4), Err(FileError::NotRegular("a device"))));
        let huge = folder.path().join("huge");
        File::create(&huge).unwrap().set_len(100 << 30).unwrap();
        assert!(matches!(read_bounded(&huge, 1 << 31), Err(FileError::TooLarge { .. })));
    }
}
