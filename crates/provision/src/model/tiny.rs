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

mod canonical;
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
    // Another process may have been quicker; what it has put there is as good.
    let there = made.is_ok() || holds(&directory, &files);
    let _ = fs::remove_dir_all(&making);
    match made {
        Err(source) if !there => Err(ModelError::Io { path: directory, source }),
        Ok(()) | Err(_) => Ok(directory),
    }
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
    canonical::file(&config)
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

/// A directory cannot be renamed over another that holds files, so a damaged one is moved away; one that is whole by now
/// makes this fail, and stays.
fn put_in_place(making: &Path, directory: &Path, unique: &str) -> io::Result<()> {
    if directory.exists() && !holds(directory, &files()) {
        let away = directory.with_file_name(format!(".{NAME}.damaged-{unique}"));
        fs::rename(directory, &away)?;
        fs::remove_dir_all(&away)?;
    }
    fs::rename(making, directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// A change here is a change of the model: give it another [`NAME`], or a server that runs on the old files is
    /// restarted with other answers.
    #[test]
    fn the_files_are_the_same_bytes_in_every_build() {
        let hashes = files().map(|(name, content)| (name, content.len(), format!("{:016x}", hash(&content))));
        let golden = [
            ("config.json", 488, "63db3ca44c6bbdee"),
            ("tokenizer.json", 7292, "86e54faa4057e0e1"),
            ("tokenizer_config.json", 386, "b9278b97e506e524"),
            ("model.safetensors", 527_904, "7abb8de1d709a68d"),
        ];
        assert_eq!(hashes.to_vec(), golden.map(|(name, length, hash): (_, _, &str)| (name, length, hash.to_owned())));
    }

    #[test]
    fn it_is_of_half_a_megabyte() {
        let size: usize = files().iter().map(|(_, content)| content.len()).sum();
        assert!(size < 600_000, "{size}");
    }

    #[test]
    fn a_damaged_model_is_made_anew_and_a_whole_one_is_left_alone() {
        let models = tempfile::tempdir().unwrap();
        let directory = ensure(models.path()).unwrap();
        let made = fs::metadata(directory.join("config.json")).unwrap().modified().unwrap();
        assert_eq!(ensure(models.path()).unwrap(), directory);
        assert_eq!(fs::metadata(directory.join("config.json")).unwrap().modified().unwrap(), made);

        fs::write(directory.join("config.json"), "{").unwrap();
        fs::remove_file(directory.join("tokenizer.json")).unwrap();
        ensure(models.path()).unwrap();
        assert!(holds(&directory, &files()));
        assert_eq!(fs::read_dir(models.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn many_may_make_it_at_once() {
        let models = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| ensure(models.path()).unwrap());
            }
        });
        assert!(holds(&models.path().join(NAME), &files()));
        assert_eq!(fs::read_dir(models.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
