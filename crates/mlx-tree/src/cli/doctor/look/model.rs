//! The files of a model: whether all are there, and whether each is as long as its own head says.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use mlx_tree::provision::model::{BUILTIN_TINY, ModelError, Source, check};
use mlx_tree::settings::Environment;
use serde_json::Value;

use super::super::facts::{Damage, Files, Model};

/// No head of a safetensors file is longer; the format's own limit.
const LONGEST_HEAD: u64 = 100_000_000;
/// No description is longer.
const LONGEST_JSON: u64 = 64 << 20;

/// What there is of the model of this name. Blocks.
pub(super) fn look(name: &str, environment: &Environment) -> Model {
    if name == BUILTIN_TINY {
        return Model::Builtin;
    }
    match check(name, environment.current_dir()) {
        Ok(model) => match model.source {
            Source::Builtin => Model::Builtin,
            Source::Directory => Model::Directory(inspect(Path::new(&model.argument))),
            Source::Hub => {
                let cached = cached(&model.argument, environment).map(|snapshot| inspect(&snapshot));
                Model::Hub { id: model.argument, cached }
            }
        },
        // Which of them is missing is said better by name.
        Err(ModelError::Incomplete { path, .. }) => Model::Directory(inspect(&path)),
        Err(error) => Model::Wrong(error.to_string()),
    }
}

/// The snapshot of a repository that was downloaded last.
fn cached(id: &str, environment: &Environment) -> Option<PathBuf> {
    let of = |name: &str| environment.get(name).map(PathBuf::from);
    let home = || of("HF_HOME").or_else(|| of("XDG_CACHE_HOME").map(|cache| cache.join("huggingface")));
    let hub = of("HF_HUB_CACHE")
        .or_else(|| home().map(|home| home.join("hub")))
        .or_else(|| environment.home().map(|home| home.join(".cache/huggingface/hub")))?;
    let snapshots = hub.join(format!("models--{}", id.replace('/', "--"))).join("snapshots");
    let found = fs::read_dir(snapshots).ok()?.flatten();
    found.max_by_key(|it| it.metadata().and_then(|metadata| metadata.modified()).ok()).map(|it| it.path())
}

/// Looks at every file that a server needs.
pub(super) fn inspect(path: &Path) -> Files {
    let mut files = Files { path: path.to_owned(), ..Files::default() };
    files.json("config.json");
    let shards = match files.path.join("model.safetensors.index.json").exists() {
        true => files.json("model.safetensors.index.json").map(|index| shards(&index)).unwrap_or_default(),
        false => here(path),
    };
    if shards.is_empty() && files.damaged.is_empty() {
        files.missing.push("model*.safetensors".to_owned());
    }
    for shard in shards {
        files.shard(&shard);
    }
    let tokenizers = ["tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json"];
    match tokenizers.into_iter().find(|name| path.join(name).exists()) {
        Some(name) if name.ends_with(".json") => drop(files.json(name)),
        Some(name) => drop(files.plain(name)),
        None => files.missing.push("tokenizer.json".to_owned()),
    }
    files
}

/// The files that an index names.
fn shards(index: &Value) -> BTreeSet<String> {
    let map = index.get("weight_map").and_then(Value::as_object);
    // A name with a directory in it would lead elsewhere; no index of a model has one.
    let plain = |name: &&str| !name.contains('/');
    map.into_iter().flatten().filter_map(|(_, file)| file.as_str()).filter(plain).map(str::to_owned).collect()
}

/// What is there, where there is no index.
fn here(path: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(path).into_iter().flatten().flatten().filter_map(|it| it.file_name().into_string().ok());
    names.filter(|name| name.starts_with("model") && name.ends_with(".safetensors")).collect()
}

// === impl Files ===

impl Files {
    fn damaged(&mut self, name: &str, damage: Damage) {
        self.damaged.push((name.to_owned(), damage));
    }

    /// A file with something in it that is no pointer; its length and its beginning.
    fn plain(&mut self, name: &str) -> Option<(File, u64)> {
        let path = self.path.join(name);
        let Ok(mut file) = File::open(&path) else {
            self.missing.push(name.to_owned());
            return None;
        };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        if length == 0 {
            self.damaged(name, Damage::Empty);
            return None;
        }
        let mut start = Vec::new();
        let _ = file.by_ref().take(64).read_to_end(&mut start);
        if start.starts_with(b"version https://git-lfs") {
            self.damaged(name, Damage::LfsPointer);
            return None;
        }
        File::open(path).ok().map(|file| (file, length))
    }

    fn json(&mut self, name: &str) -> Option<Value> {
        let (file, _) = self.plain(name)?;
        let mut text = Vec::new();
        let _ = file.take(LONGEST_JSON).read_to_end(&mut text);
        match serde_json::from_slice(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.damaged(name, Damage::Malformed(error.to_string()));
                None
            }
        }
    }

    /// A file of weights: eight bytes with the length of a head, the head, and as much as the head says.
    fn shard(&mut self, name: &str) {
        let Some((mut file, has)) = self.plain(name) else { return };
        self.weights += has;
        let mut length = [0; 8];
        let head = file.read_exact(&mut length).map(|()| u64::from_le_bytes(length)).unwrap_or(0);
        if head == 0 || head > LONGEST_HEAD || head + 8 > has {
            // A head that is longer than the file is a file that is shorter than its head.
            let cut = (2..=LONGEST_HEAD).contains(&head);
            let damage = if cut {
                Damage::Size { has, wants: head + 8 }
            } else {
                Damage::Malformed("no safetensors".to_owned())
            };
            return self.damaged(name, damage);
        }
        let mut text = Vec::new();
        let _ = file.take(head).read_to_end(&mut text);
        let tensors: Value = match serde_json::from_slice(&text) {
            Ok(tensors) => tensors,
            Err(error) => return self.damaged(name, Damage::Malformed(error.to_string())),
        };
        let ends =
            tensors.as_object().into_iter().flatten().filter_map(|(_, tensor)| tensor["data_offsets"][1].as_u64());
        let wants = head + 8 + ends.max().unwrap_or(0);
        if wants != has {
            self.damaged(name, Damage::Size { has, wants });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model of two shards, each with eight bytes of weights.
    fn model() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).expect("written");
        write("config.json", b"{}");
        write("tokenizer.json", b"{}");
        write(
            "model.safetensors.index.json",
            br#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#,
        );
        for name in ["model-1.safetensors", "model-2.safetensors"] {
            let head = br#"{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}"#;
            let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
            bytes.extend_from_slice(head);
            bytes.extend_from_slice(&[0; 8]);
            write(name, &bytes);
        }
        dir
    }

    fn found(change: impl FnOnce(&Path)) -> (Vec<String>, Vec<(String, Damage)>) {
        let dir = model();
        change(dir.path());
        let files = inspect(dir.path());
        (files.missing, files.damaged)
    }

    #[test]
    fn a_whole_model_is_whole_and_each_illness_is_found_at_its_file() {
        assert_eq!(found(|_| {}), (vec![], vec![]));
        let second = |path: &Path| path.join("model-2.safetensors");
        let gone = found(|path| fs::remove_file(second(path)).expect("it was there"));
        assert_eq!(gone, (vec!["model-2.safetensors".to_owned()], vec![]));
        let named = |damage| (vec![], vec![("model-2.safetensors".to_owned(), damage)]);
        assert_eq!(found(|path| fs::write(second(path), "").expect("written")), named(Damage::Empty));
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
        assert_eq!(found(|path| fs::write(second(path), pointer).expect("written")), named(Damage::LfsPointer));
        let (has, wants) = (73, 77);
        let short = found(|path| {
            let whole = fs::read(second(path)).expect("it is there");
            assert_eq!(whole.len() as u64, wants);
            fs::write(second(path), &whole[..whole.len() - 4]).expect("written");
        });
        assert_eq!(short, named(Damage::Size { has, wants }));
        let (_, damaged) = found(|path| fs::write(second(path), [0xff; 64]).expect("written"));
        assert!(matches!(damaged[0].1, Damage::Malformed(_)), "{damaged:?}");
        let (_, damaged) = found(|path| fs::write(path.join("config.json"), "{").expect("written"));
        assert!(matches!(&damaged[..], [(name, Damage::Malformed(_))] if name == "config.json"), "{damaged:?}");
        let (missing, _) = found(|path| fs::remove_file(path.join("tokenizer.json")).expect("it was there"));
        assert_eq!(missing, ["tokenizer.json"]);
    }

    #[test]
    fn a_model_of_the_hub_is_looked_for_in_its_cache() {
        let (cache, whole) = (tempfile::tempdir().expect("one"), model());
        let snapshots = cache.path().join("hub/models--org--name/snapshots");
        fs::create_dir_all(&snapshots).expect("made");
        let home = cache.path().to_str().expect("utf-8").to_owned();
        let environment = Environment::from_variables([("HF_HOME", home)]);
        let hub = |id: &str| Model::Hub { id: id.to_owned(), cached: None };
        assert!(matches!(look("org/name", &environment), Model::Hub { cached: None, .. }));
        std::os::unix::fs::symlink(whole.path(), snapshots.join("0123")).expect("a link");
        let Model::Hub { cached: Some(files), .. } = look("org/name", &environment) else { panic!("it is there") };
        assert!(files.missing.is_empty() && files.damaged.is_empty() && files.weights > 0, "{files:?}");
        assert!(matches!((look("org/other", &environment), hub("org/other")), (Model::Hub { cached: None, .. }, _)));
        assert!(matches!(look("no such thing", &environment), Model::Wrong(_)));
        assert!(matches!(look("/no/such/directory", &environment), Model::Wrong(_)));
    }
}
