//! The values of a tensor in a file, as 32 bit floats.
//!
//! Comes in: a tensor of floats of 32 or 16 bits, in either of the two forms that ONNX has. Goes out: its values.

use anyhow::{Result, bail, ensure};
use half::f16;

use crate::model::onnx::schema::TensorProto;
use crate::model::onnx::schema::tensor_proto::DataType;

/// The values, as many as the dimensions say.
///
/// # Errors
/// Another element type, or another number of values.
pub fn floats(tensor: &TensorProto) -> Result<Vec<f32>> {
    let raw = tensor.raw_data();
    let whole = |size: usize| {
        let problem = || format!("tensor '{}' has {} bytes, no multiple of {size}", tensor.name(), raw.len());
        ensure!(raw.len().is_multiple_of(size), problem());
        Ok(())
    };
    match DataType::try_from(tensor.data_type()) {
        Ok(DataType::Float) => whole(4)?,
        Ok(DataType::Float16) => whole(2)?,
        _ => {}
    }
    let values: Vec<f32> = match DataType::try_from(tensor.data_type()) {
        Ok(DataType::Float) if raw.is_empty() => tensor.float_data.clone(),
        Ok(DataType::Float) => raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Ok(DataType::Float16) => raw.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        other => {
            let kind = other.map_or_else(|unknown| unknown.0.to_string(), |kind| kind.as_str_name().to_owned());
            bail!("tensor '{}' is of type {kind}, expected floats of 32 or 16 bits", tensor.name())
        }
    };
    let expected = tensor.dims.iter().try_fold(1usize, |count, dim| count.checked_mul(usize::try_from(*dim).ok()?));
    ensure!(
        expected == Some(values.len()),
        "tensor '{}' has {} values for the dimensions {:?}",
        tensor.name(),
        values.len(),
        tensor.dims
    );
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(kind: DataType, dims: &[i64], raw: &[u8]) -> TensorProto {
        TensorProto {
            name: Some("w".into()),
            data_type: Some(kind.into()),
            dims: dims.into(),
            raw_data: Some(raw.to_vec().into()),
            ..Default::default()
        }
    }

    #[test]
    fn every_form_is_read_and_what_does_not_fit_is_named() {
        let single: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let double: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
        let listed = TensorProto { raw_data: None, float_data: vec![1.5, -2.0], ..tensor(DataType::Float, &[2], &[]) };
        for tensor in [tensor(DataType::Float, &[1, 2], &single), tensor(DataType::Float16, &[2], &double), listed] {
            assert_eq!(floats(&tensor).unwrap(), [1.5, -2.0]);
        }
        let error = |tensor| floats(&tensor).unwrap_err().to_string();
        assert!(error(tensor(DataType::Int8, &[2], &[1, 2])).contains("'w' is of type INT8"));
        assert!(error(tensor(DataType::Float, &[2], &single[..7])).contains("7 bytes, no multiple of 4"));
        assert!(error(tensor(DataType::Float, &[3], &single)).contains("2 values for the dimensions [3]"));
        assert!(error(tensor(DataType::Float, &[-2], &single)).contains("[-2]"));
    }
}
