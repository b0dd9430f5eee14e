//! The safetensors format: the length of a JSON header, the header, the raw tensors.

use super::canonical;
use serde_json::{Map, Value, json};

/// Tensors of 32-bit floats, in the order of their bytes.
#[derive(Debug, Default)]
pub(super) struct Tensors {
    header: Map<String, Value>,
    data: Vec<u8>,
}

// === impl Tensors ===

impl Tensors {
    pub(super) fn push(&mut self, name: &str, shape: &[usize], values: impl IntoIterator<Item = f32>) {
        let begin = self.data.len();
        self.data.extend(values.into_iter().flat_map(f32::to_le_bytes));
        let end = self.data.len();
        debug_assert_eq!(end - begin, 4 * shape.iter().product::<usize>(), "{name}");
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, end]});
        self.header.insert(name.to_owned(), entry);
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.header.insert("__metadata__".to_owned(), json!({"format": "mlx"}));
        let mut header = canonical::text(&Value::Object(self.header)).into_bytes();
        // Padded with spaces, so that the tensors are aligned.
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.append(&mut header);
        bytes.append(&mut self.data);
        bytes
    }
}
