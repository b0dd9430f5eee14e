//! The built-in model: a two-layer Llama of half a megabyte with seeded random weights.
//!
//! It is real to `mlx_lm.server` in every respect but sense: it loads, takes a chat template, streams and batches. Its
//! answers are words of a small list in an order that depends on the prompt.
//!
//! Two things are arranged. The output rows of all tokens but the words are zero, so their logits are 0 and the largest
//! of the words' is above: an answer is printable, and as the end token is among the zeros it never ends by itself.
//! Whoever cuts an answer is seen, because the only good finish reason is `length`. And everything is a function of the
//! seed, by operations that IEEE 754 defines exactly: the files are the same bytes on every machine.

use super::ModelError;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    time::{SystemTime, UNIX_EPOCH},
};

mod random;
mod safetensors;
mod tokenizer;
mod weights;

/// Changes with the bytes: a directory of this name holds exactly [`files`].
const NAME: &str = "tiny-v1";

const LAYERS: usize = 2;
const HIDDEN: usize = 64;
const INTERMEDIATE: usize = 128;
const HEADS: usize = 4;
const KEY_VALUE_HEADS: usize = 2;
const HEAD: usize = HIDDEN / HEADS;

/// The model's directory below `models`, made when it is missing and made anew when its content is not what it should
/// be.
pub(super) fn ensure(models: &Path) -> Result<PathBuf, ModelError> {
    let directory = models.join(NAME);
    let files = files();
    if holds(&directory, &files) {
        return Ok(directory);
    }
    let stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let unique = format!("{}-{stamp}", process::id());
    let making = models.join(format!(".{NAME}.making-{unique}"));
    let made = write(&making, &files).and_then(|()| put_in_place(&making, &directory, &unique));
    if let Err(source) = made {
        let _ = fs::remove_dir_all(&making);
        // Another process may have been quicker.
        return match holds(&directory, &files) {
            true => Ok(directory),
            false => Err(ModelError::Io { path: directory, source }),
        };
    }
    Ok(directory)
}

/// Every file of the model: name and content.
fn files() -> [(&'static str, Vec<u8>); 4] {
    [
        ("config.json", config()),
        ("tokenizer.json", tokenizer::tokenizer()),
        ("tokenizer_config.json", tokenizer::tokenizer_config()),
        ("model.safetensors", weights::weights()),
    ]
}

fn config() -> Vec<u8> {
    let config = serde_json::json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_VALUE_HEADS,
        "head_dim": HEAD,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 131_072,
        "vocab_size": tokenizer::VOCABULARY,
        "bos_token_id": null,
        "eos_token_id": tokenizer::END,
        "pad_token_id": tokenizer::PAD,
        "tie_word_embeddings": false,
        "attention_bias": false,
        "mlp_bias": false,
        "torch_dtype": "float32",
    });
    pretty(&config)
}

fn pretty(value: &serde_json::Value) -> Vec<u8> {
    let mut text = format!("{value:#}").into_bytes();
    text.push(b'\n');
    text
}

fn holds(directory: &Path, files: &[(&str, Vec<u8>)]) -> bool {
    files.iter().all(|(name, content)| fs::read(directory.join(name)).is_ok_and(|found| found == *content))
}

fn write(making: &Path, files: &[(&str, Vec<u8>)]) -> io::Result<()> {
    fs::create_dir_all(making)?;
    for (name, content) in files {
        let path = making.join(name);
        fs::write(&path, content)?;
        fs::File::open(&path)?.sync_all()?;
    }
    Ok(())
}

/// A directory cannot be renamed over another that holds files, so a damaged one is moved away first.
fn put_in_place(making: &Path, directory: &Path, unique: &str) -> io::Result<()> {
    if directory.exists() {
        let away = directory.with_file_name(format!(".{NAME}.damaged-{unique}"));
        fs::rename(directory, &away)?;
        fs::remove_dir_all(&away)?;
    }
    fs::rename(making, directory)
}
