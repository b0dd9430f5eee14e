//! What is installed into a managed environment, to the version.

use super::Module;
use crate::progress::Size;

/// The requirements of one managed environment. Two sets of pins have two environments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins {
    module: Module,
    title: String,
    size: Option<Size>,
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
        // As measured on Linux with Python 3.11.
        let size = match module {
            Module::MlxLm => Size { download: 60, disk: 350 },
            Module::MlxVlm => Size { download: 250, disk: 1070 },
        };
        Self::new(module, requirements).of_size(size)
    }

    /// Other requirements, as pip takes them: `["mlx-lm[cpu]==0.31.3"]`.
    pub fn new<I>(module: Module, requirements: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let requirements: Vec<String> = requirements.into_iter().map(Into::into).collect();
        let distribution = module.import_name().replace('_', "-");
        let named = requirements.iter().find(|requirement| requirement.starts_with(&distribution));
        let version = named.and_then(|requirement| requirement.split("==").nth(1)).map(str::trim);
        let title = version.map_or(distribution.clone(), |version| format!("{distribution} {version}"));
        Self { module, title, size: None, requirements }
    }

    fn of_size(mut self, size: Size) -> Self {
        self.size = Some(size);
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

    /// About how large it is, if that is known.
    #[must_use]
    pub fn size(&self) -> Option<Size> {
        self.size
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_pins_have_another_directory_and_the_name_tells_the_version() {
        let old = Pins::new(Module::MlxLm, ["mlx-lm[cpu]==0.31.3"]);
        assert_eq!(old.title(), "mlx-lm 0.31.3");
        assert!(old.directory_name().starts_with("mlx-lm-0.31.3-"), "{}", old.directory_name());
        let with_transformers = Pins::new(Module::MlxLm, ["mlx-lm[cpu]==0.31.3", "transformers<5"]);
        assert_ne!(old.directory_name(), with_transformers.directory_name());
    }

    #[test]
    fn the_current_pins_name_a_version_of_all_that_matters() {
        for module in [Module::MlxLm, Module::MlxVlm] {
            let pins = Pins::current(module);
            assert!(pins.requirements().iter().all(|requirement| requirement.contains("==")), "{pins:?}");
        }
    }
}
