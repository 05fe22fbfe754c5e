//! What a session is made of, as one number.
//!
//! Comes in: a model file and what is done to it. Goes out: a BLAKE3 digest, equal only for equal models: key of the sessions
//! that are shared, and part of the names of prepared engines. A file is read for it once.

use std::path::Path;

use anyhow::{Context, Result};

use crate::model::onnx::reader::OnnxFile;

/// The digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest(blake3::Hash);

/// A model's file with its digest.
#[derive(Clone)]
pub(super) struct Model {
    pub file: OnnxFile,
    pub digest: Digest,
}

impl Model {
    /// # Errors
    /// A file with external data that cannot be read.
    pub fn new(file: OnnxFile) -> Result<Self> {
        let digest = match &file {
            OnnxFile::Bytes(bytes) => Digest(blake3::hash(bytes)),
            OnnxFile::WithExternalData(path) => {
                Digest::with_external(path).with_context(|| format!("model file '{}'", path.display()))?
            }
        };
        Ok(Self { file, digest })
    }
}

impl Digest {
    /// That of a model to which something is done: `what`, with numbers.
    pub fn with(&self, what: &str, numbers: impl IntoIterator<Item = f32>) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.0.as_bytes()).update(what.as_bytes());
        for number in numbers {
            hasher.update(&number.to_bits().to_le_bytes());
        }
        Self(hasher.finalize())
    }

    /// 32 hexadecimal digits, for file names.
    pub fn short(&self) -> String {
        self.0.to_hex()[..32].to_owned()
    }

    /// The file, and sizes and times of the files beside it that it names. Weights can have gigabytes: they are not read.
    fn with_external(path: &Path) -> Result<Self> {
        let model = std::fs::read(path).context("cannot be read")?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut beside: Vec<_> = std::fs::read_dir(folder).context("cannot list its folder")?.flatten().collect();
        beside.sort_by_key(std::fs::DirEntry::file_name);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&model);
        for entry in beside {
            let name = entry.file_name();
            let bytes = name.as_encoded_bytes();
            if model.windows(bytes.len()).any(|part| part == bytes) {
                let meta = std::fs::metadata(entry.path())?;
                hasher.update(bytes).update(format!("{} {:?}", meta.len(), meta.modified().ok()).as_bytes());
            }
        }
        Ok(Self(hasher.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_models_have_equal_digests_and_others_do_not() {
        let of =
            |bytes: &[u8]| Model::new(OnnxFile::Bytes(prost::bytes::Bytes::copy_from_slice(bytes))).unwrap().digest;
        assert_eq!(of(b"model"), of(b"model"));
        assert_ne!(of(b"model"), of(b"modem"), "one byte, as of weights");
        let styles = |weights: [f32; 2]| of(b"model").with("constant style", weights);
        assert_eq!(styles([1.0, 0.0]), styles([1.0, 0.0]));
        assert_ne!(styles([1.0, 0.0]), styles([0.0, 1.0]));
        assert_ne!(of(b"model").with("constant a", [1.0]), of(b"model").with("constant b", [1.0]));
        assert_eq!(of(b"model").short().len(), 32);
    }

    #[test]
    fn external_weights_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        std::fs::write(&path, b"weights in w.bin").unwrap();
        std::fs::write(folder.path().join("w.bin"), b"1234").unwrap();
        let of = || Model::new(OnnxFile::WithExternalData(path.clone())).unwrap().digest;
        let before = of();
        std::fs::write(folder.path().join("other.txt"), b"1").unwrap();
        assert_eq!(of(), before, "the model does not name it");
        std::fs::write(folder.path().join("w.bin"), b"123456").unwrap();
        assert_ne!(of(), before);
    }
}
