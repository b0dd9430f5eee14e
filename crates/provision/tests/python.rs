//! Which interpreter is found, how an environment is made, and what is said when it cannot be: with interpreters that
//! are a small script, so without a network.

use mlx_tree_provision::{
    Silent, Step,
    python::{self, Choice, Module, Origin, Pins, PythonError, Surroundings},
};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};
use tempfile::TempDir;

/// Longer than anything here takes; a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(30);

/// A world of its own for each test: a directory on PATH, a place for data.
struct World {
    root: TempDir,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("path")).unwrap();
        Self { root }
    }

    /// An interpreter at this place, with this behaviour.
    fn python(self, place: &str, behaviour: &str) -> Self {
        let link = self.root.path().join(place);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        fs::write(link.with_file_name("behaviour"), format!("{behaviour}\n")).unwrap();
        symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/python"), link).unwrap();
        self
    }

    fn at(&self, place: &str) -> PathBuf {
        self.root.path().join(place)
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings { path: Some(self.at("path").into()), virtual_env: Some(self.at("active")) }
    }

    async fn resolve(&self, choice: &Choice) -> Result<python::Python, PythonError> {
        let (data, surroundings) = (self.at("data"), self.surroundings());
        let found = python::resolve(choice, Module::MlxLm, &surroundings, &data, &Silent);
        tokio::time::timeout(LONG, found).await.expect("it comes to an end")
    }

    async fn auto(&self) -> Result<python::Python, PythonError> {
        self.resolve(&Choice::Auto).await
    }

    async fn managed(&self) -> Result<python::Python, PythonError> {
        let (pins, surroundings, directory) = (pins(), self.surroundings(), self.at("data/python"));
        let made = python::managed(&pins, &surroundings, &directory, &Silent);
        tokio::time::timeout(LONG, made).await.expect("it comes to an end")
    }

    /// How often pip was run.
    fn installs(&self) -> usize {
        fs::read_to_string(self.at("data/python/installs")).unwrap_or_default().lines().count()
    }
}

fn pins() -> Pins {
    Pins::new(Module::MlxLm, ["mlx-lm==0.32.2"])
}

fn configured(path: impl Into<PathBuf>) -> Choice {
    Choice::Interpreter(path.into())
}

#[tokio::test]
async fn the_active_environment_comes_before_path() {
    let world = World::new().python("active/bin/python", "MODULE=1.0").python("path/python3", "MODULE=2.0");
    let found = world.auto().await.unwrap();
    assert_eq!((found.origin, found.module_version.as_str()), (Origin::VirtualEnv, "1.0"));
    assert_eq!(found.interpreter, world.at("active/bin/python"), "the link is not followed");
    assert_eq!(found.version, "3.12.1");
}

#[tokio::test]
async fn an_environment_without_the_module_is_passed_over() {
    let world = World::new().python("active/bin/python", "").python("path/python3", "MODULE=2.0");
    assert_eq!(world.auto().await.unwrap().origin, Origin::Path);
}

#[tokio::test]
async fn an_import_that_fails_is_passed_over_too_and_an_environment_is_made() {
    let world = World::new().python("path/python3", "IMPORT_ERROR='ImportError: libmlx.so'");
    // The environment made by this interpreter inherits its fault, and is then not usable.
    let error = world.auto().await.unwrap_err();
    assert_eq!(error.to_string().split_once("cannot import ").unwrap().1, "mlx_lm: ImportError: libmlx.so");
    assert_eq!(world.installs(), 1);
}

#[tokio::test]
async fn the_configured_interpreter_is_taken_and_no_other() {
    let world = World::new().python("own/python", "MODULE=3.0").python("path/python3", "MODULE=2.0");
    let found = world.resolve(&configured(world.at("own/python"))).await.unwrap();
    assert_eq!((found.origin, found.module_version.as_str()), (Origin::Configured, "3.0"));
    let by_name = world.resolve(&configured("python3")).await.unwrap();
    assert_eq!(by_name.module_version, "2.0");
}

#[tokio::test]
async fn the_directory_of_an_environment_may_be_configured() {
    let world = World::new().python("env/bin/python", "MODULE=3.0");
    let found = world.resolve(&configured(world.at("env"))).await.unwrap();
    assert_eq!(found.interpreter, world.at("env/bin/python"));
}

#[tokio::test]
async fn a_configured_interpreter_without_the_module_is_told_the_pip_line() {
    let world = World::new().python("own/python", "").python("path/python3", "MODULE=2.0");
    let error = world.resolve(&configured(world.at("own/python"))).await.unwrap_err();
    assert!(matches!(error, PythonError::NoModule { module: "mlx_lm", .. }), "{error:?}");
    let help = error.help().unwrap();
    let line = format!("{} -m pip install ", world.at("own/python").display());
    assert!(help.contains(&line) && help.ends_with("mlx-lm"), "{help}");
}

#[tokio::test]
async fn a_configured_interpreter_that_is_missing_or_broken_is_named() {
    let world = World::new().python("own/python", "VERSION=");
    let missing = world.resolve(&configured(world.at("own/pyhton"))).await.unwrap_err();
    assert!(matches!(missing, PythonError::NotFound { .. }), "{missing:?}");
    let missing = world.resolve(&configured("python9")).await.unwrap_err();
    assert!(matches!(missing, PythonError::NotFound { .. }), "{missing:?}");
    let broken = world.resolve(&configured(world.at("own/python"))).await.unwrap_err();
    assert!(matches!(&broken, PythonError::Broken { reason, .. } if reason.contains("no such version")), "{broken:?}");
}

#[tokio::test]
async fn without_any_python_it_is_said_what_to_install() {
    let error = World::new().auto().await.unwrap_err();
    assert!(matches!(error, PythonError::NoPython), "{error:?}");
    let help = error.help().unwrap();
    assert!(help.contains("apt install python3") && help.contains("brew install python"), "{help}");
    let old = World::new().python("path/python3", "VERSION=3.9.2").auto().await.unwrap_err();
    assert!(matches!(old, PythonError::NoPython), "{old:?}");
}

#[tokio::test]
async fn an_environment_is_made_once_and_found_again() {
    let world = World::new().python("path/python3", "");
    let first = world.auto().await.unwrap();
    assert_eq!((first.origin, first.module_version.as_str()), (Origin::Managed, "0.32.2"));
    assert!(first.interpreter.starts_with(world.at("data/python")), "{first:?}");
    assert_eq!(world.auto().await.unwrap(), first);
    assert_eq!(world.installs(), 1);
    let places = fs::read_to_string(world.at("data/python/places")).unwrap();
    let ours = fs::canonicalize(world.at("data/python")).unwrap();
    assert!(places.lines().all(|place| Path::new(place).starts_with(&ours)), "pip is run nowhere else: {places}");
}

#[tokio::test]
async fn a_launcher_for_a_version_that_is_not_installed_is_passed_over() {
    let world = World::new().python("path/python3", "");
    // As pyenv has it: the name is there, running it fails.
    symlink("/bin/false", world.at("path/python3.13")).unwrap();
    assert_eq!(world.auto().await.unwrap().origin, Origin::Managed);
}

#[tokio::test]
async fn the_steps_are_told_in_their_order() {
    let world = World::new().python("path/python3", "");
    let steps = Mutex::new(Vec::new());
    let progress = |step: Step| steps.lock().unwrap().push(step);
    python::managed(&pins(), &world.surroundings(), &world.at("data/python"), &progress).await.unwrap();
    let told: Vec<String> = steps.into_inner().unwrap().iter().map(ToString::to_string).collect();
    let place = world.at("data/python").join(
        fs::read_dir(world.at("data/python"))
            .unwrap()
            .flatten()
            .find(|entry| entry.path().is_dir())
            .unwrap()
            .file_name(),
    );
    let place = place.display();
    assert_eq!(
        told,
        [
            format!("making a virtual environment in {place}"),
            "installing mlx-lm 0.32.2".to_owned(),
            "Collecting mlx-lm".to_owned(),
            "downloading mlx_lm 0.32.2 (0.0/2.5 MB)".to_owned(),
            "downloading mlx_lm 0.32.2 (1.0/2.5 MB)".to_owned(),
            "importing it once".to_owned(),
            format!("looking at {place}/bin/python"),
            format!("ready: {place}/bin/python"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_makes_it_and_the_others_wait() {
    let world = World::new().python("path/python3", "");
    let (a, b, c, d) = tokio::join!(world.managed(), world.managed(), world.managed(), world.managed());
    let first = a.unwrap();
    assert!([b, c, d].into_iter().all(|other| other.unwrap() == first));
    assert_eq!(world.installs(), 1);
}

#[tokio::test]
async fn a_half_made_environment_is_made_anew() {
    let world = World::new().python("path/python3", "");
    let made = world.managed().await.unwrap();
    let root = made.interpreter.ancestors().nth(2).unwrap();
    fs::remove_file(root.join(".complete")).unwrap();
    fs::write(root.join("left-over"), "").unwrap();
    assert_eq!(world.managed().await.unwrap(), made);
    assert!(!root.join("left-over").exists());
    assert_eq!(world.installs(), 2);
}

#[tokio::test]
async fn an_environment_whose_interpreter_is_gone_is_made_anew() {
    let world = World::new().python("path/python3", "");
    let made = world.managed().await.unwrap();
    fs::remove_file(&made.interpreter).unwrap();
    symlink("/nowhere/python3.11", &made.interpreter).unwrap();
    assert_eq!(world.managed().await.unwrap(), made);
    assert_eq!(world.installs(), 2);
}

#[tokio::test]
async fn a_dropped_future_ends_pip_with_all_its_children_and_the_next_call_succeeds() {
    let world = World::new().python("path/python3", "PIP_HANGS=1");
    {
        let mut making = Box::pin(world.managed());
        while world.installs() == 0 {
            let step = tokio::time::timeout(Duration::from_millis(10), &mut making).await;
            assert!(step.is_err(), "pip hangs");
        }
    }
    fs::write(world.at("path/behaviour"), "").unwrap();
    // pip and its children hold the lock, so this also shows that none of them is left.
    assert_eq!(world.managed().await.unwrap().origin, Origin::Managed);
    assert_eq!(world.installs(), 2);
}

#[tokio::test]
async fn without_a_network_it_is_said_that_the_demo_needs_none() {
    let line = "Failed to establish a new connection: [Errno -3] Temporary failure in name resolution";
    let world = World::new().python("path/python3", &format!("PIP_ERROR='{line}'"));
    let error = world.auto().await.unwrap_err();
    assert!(matches!(&error, PythonError::Offline { lines } if lines.iter().any(|l| l.contains(line))), "{error:?}");
    assert!(error.help().unwrap().contains("`mlx-tree demo`"));
}

#[tokio::test]
async fn a_failed_installation_is_told_and_tried_again_the_next_time() {
    let world = World::new().python("path/python3", "PIP_ERROR='something new'");
    let error = world.managed().await.unwrap_err();
    assert_eq!(error.to_string(), "pip failed with code 1: ERROR: something new");
    fs::write(world.at("path/behaviour"), "").unwrap();
    assert!(world.managed().await.is_ok());
}

#[tokio::test]
async fn a_python_without_venv_is_told_the_package() {
    let behaviour =
        "VENV_ERROR='The virtual environment was not created successfully because ensurepip is not available.'";
    let error = World::new().python("path/python3", behaviour).auto().await.unwrap_err();
    assert!(matches!(&error, PythonError::VenvMissing { version, .. } if version == "3.12"), "{error:?}");
    assert!(error.help().unwrap().contains("python3-venv"));
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_named() {
    let world = World::new().python("path/python3", "");
    fs::write(world.at("data"), "a file stands here").unwrap();
    let error = world.auto().await.unwrap_err();
    assert!(matches!(&error, PythonError::Io { doing: "make", .. }), "{error:?}");
}
