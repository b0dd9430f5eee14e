//! What a model's name comes to.

use mlx_tree_provision::model::{self, BUILTIN_TINY, ModelError, Network, Source};
use std::fs;
use tempfile::TempDir;

fn place() -> TempDir {
    tempfile::tempdir().unwrap()
}

async fn error(name: &str, base: &TempDir) -> ModelError {
    model::resolve(name, base.path(), base.path()).await.unwrap_err()
}

#[tokio::test]
async fn the_built_in_model_is_made_where_data_goes() {
    let data = place();
    let model = model::resolve(BUILTIN_TINY, data.path(), data.path()).await.unwrap();
    assert_eq!(model.argument, data.path().join("models/tiny-v1").to_str().unwrap());
    assert_eq!((model.source, model.network(), model.hint()), (Source::Builtin, Network::NotNeeded, None));
    // It is itself a directory that may be named.
    let again = model::resolve(&model.argument, data.path(), data.path()).await.unwrap();
    assert_eq!(again.source, Source::Directory);
}

#[tokio::test]
async fn a_directory_may_be_named_from_where_the_configuration_is() {
    let base = place();
    let directory = base.path().join("m");
    fs::create_dir(&directory).unwrap();
    for name in ["config.json", "model-00001-of-00002.safetensors", "tokenizer.model"] {
        fs::write(directory.join(name), "").unwrap();
    }
    for name in ["m", "./m", directory.to_str().unwrap()] {
        let model = model::resolve(name, base.path(), base.path()).await.unwrap();
        assert_eq!(model.argument, directory.canonicalize().unwrap().to_str().unwrap(), "{name}");
    }
}

#[tokio::test]
async fn what_a_directory_lacks_is_listed() {
    let base = place();
    fs::create_dir(base.path().join("m")).unwrap();
    fs::write(base.path().join("m/config.json"), "{}").unwrap();
    let error = error("./m", &base).await;
    assert!(error.to_string().ends_with(" lacks model*.safetensors, tokenizer.json (or tokenizer.model)"), "{error}");
}

#[tokio::test]
async fn a_missing_directory_and_a_file_are_told_apart() {
    let base = place();
    fs::write(base.path().join("model.gguf"), "").unwrap();
    assert!(matches!(error("./absent", &base).await, ModelError::Missing { .. }));
    assert!(matches!(error("model.gguf", &base).await, ModelError::NotADirectory { .. }));
}

#[tokio::test]
async fn a_name_of_the_hub_is_passed_on_with_a_word_about_the_network() {
    let base = place();
    let name = "mlx-community/Qwen3-4B-4bit";
    let model = model::resolve(name, base.path(), base.path()).await.unwrap();
    assert_eq!((model.argument.as_str(), model.source, model.network()), (name, Source::Hub, Network::MayDownload));
    assert!(model.hint().unwrap().contains("without a network"));
}

#[tokio::test]
async fn names_that_are_nothing_are_refused() {
    let base = place();
    for name in ["", "qwen", "a/b/c", "a/..", "-x/y", "a b/c", "builtin", "a/b\u{0}"] {
        assert!(matches!(error(name, &base).await, ModelError::UnknownName { .. }), "{name:?}");
    }
    assert!(matches!(error("builtin:large", &base).await, ModelError::UnknownBuiltin { .. }));
}
