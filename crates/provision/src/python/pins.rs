//! What is installed into a managed environment, to the version.

use super::Module;

/// The requirements of one managed environment. Two sets of pins have two environments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins {
    module: Module,
    title: String,
    megabytes: u64,
    requirements: Vec<String>,
}

// === impl Pins ===

impl Pins {
    /// The versions that this release was tested with.
    #[must_use]
    pub fn current(module: Module) -> Self {
        // MLX has one wheel for Metal and, on Linux, an extra that brings the one for the CPU.
        let mlx = if cfg!(target_os = "macos") { "mlx==0.32.4" } else { "mlx[cpu]==0.32.4" };
        let requirements = match module {
            // transformers 5.23 needs 3.11; an older Python gets the newest that it can have.
            Module::MlxLm => {
                vec![mlx, "mlx-lm==0.32.2", "transformers==5.23.0; python_version >= '3.11'", "tokenizers==0.23.3"]
            }
            Module::MlxVlm => vec![mlx, "mlx-vlm==0.7.10"],
        };
        Self::new(module, requirements).download_of(350)
    }

    /// Other requirements, as pip takes them: `["mlx-lm[cpu]==0.31.3"]`.
    pub fn new<I>(module: Module, requirements: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let requirements: Vec<String> = requirements.into_iter().map(Into::into).collect();
        let distribution = module.import_name().replace('_', "-");
        let title = requirements.iter().find(|requirement| requirement.starts_with(&distribution));
        let title = title.map_or(distribution.clone(), |requirement| requirement.replace("==", " "));
        Self { module, title, megabytes: 350, requirements }
    }

    fn download_of(mut self, megabytes: u64) -> Self {
        self.megabytes = megabytes;
        self
    }

    /// The module that the environment must import.
    #[must_use]
    pub fn module(&self) -> Module {
        self.module
    }

    /// What is installed, for people: "mlx-lm 0.32.2".
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// About how much is downloaded.
    pub(crate) fn megabytes(&self) -> u64 {
        self.megabytes
    }

    /// As pip takes them.
    #[must_use]
    pub fn requirements(&self) -> &[String] {
        &self.requirements
    }

    /// What a person would install by hand, without the pins of what comes along.
    pub(crate) fn loose(&self) -> Vec<String> {
        let distribution = self.module.import_name().replace('_', "-");
        match cfg!(target_os = "macos") {
            true => vec![distribution],
            false => vec!["\"mlx[cpu]\"".to_owned(), distribution],
        }
    }

    /// The name of the environment's directory: readable, and different for different pins.
    pub(crate) fn directory_name(&self) -> String {
        // FNV-1a: stable in every build, which std's hasher does not promise.
        let hash = self
            .requirements
            .join("\n")
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let readable: String =
            self.title.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        format!("{readable}-{:08x}", hash >> 32 ^ hash & 0xffff_ffff)
    }
}
