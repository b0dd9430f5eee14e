//! Units and property lists that run mlx-tree, whoever wrote them.

use std::path::{Path, PathBuf};

use mlx_tree::settings::{Environment, Platform};

use super::super::super::own_program;
use super::super::facts::{Known, Lingers, Program, Service};
use super::{SHORT, blocking, printed};

/// A place in which services are written down, and how the manager is asked about them.
struct Shelf {
    directory: PathBuf,
    ending: &'static str,
    manager: Manager,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    User,
    System,
    Launchd,
}

/// All that have `mlx-tree` in their names.
pub(super) async fn services(environment: &Environment) -> Known<Vec<Service>> {
    let mut services = Vec::new();
    for Shelf { directory, ending, manager } in shelves(environment) {
        let files = blocking(move || Ok(files(&directory, ending))).await?;
        for file in files {
            services.push(service(file, manager, environment).await);
        }
    }
    Ok(services)
}

fn shelves(environment: &Environment) -> Vec<Shelf> {
    let home = environment.home();
    match environment.platform() {
        Platform::Linux => {
            let config = environment.get("XDG_CONFIG_HOME").map(PathBuf::from);
            let config = config.filter(|it| it.is_absolute()).or_else(|| Some(home?.join(".config")));
            let user = config.map(|config| config.join("systemd/user"));
            let shelf = |directory, manager| Shelf { directory, ending: ".service", manager };
            let user = user.into_iter().map(|directory| shelf(directory, Manager::User));
            user.chain([shelf(PathBuf::from("/etc/systemd/system"), Manager::System)]).collect()
        }
        Platform::MacOs => {
            let shelf = |directory| Shelf { directory, ending: ".plist", manager: Manager::Launchd };
            let agents = home.map(|home| home.join("Library/LaunchAgents"));
            let all = agents.into_iter().chain(["/Library/LaunchAgents", "/Library/LaunchDaemons"].map(PathBuf::from));
            all.map(shelf).collect()
        }
    }
}

fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let ours = |name: &str| name.contains("mlx-tree") && name.ends_with(ending);
    entries.filter(|it| it.file_name().to_str().is_some_and(ours)).map(|it| it.path()).collect()
}

async fn service(file: PathBuf, manager: Manager, environment: &Environment) -> Service {
    let text = {
        let file = file.clone();
        blocking(move || std::fs::read_to_string(file).map_err(|error| error.to_string())).await.unwrap_or_default()
    };
    let program = match manager {
        Manager::User | Manager::System => exec_start(&text),
        Manager::Launchd => first_argument(&text),
    };
    let program_is = match &program {
        Some(program) if !program.exists() => Program::Gone,
        Some(program) if is_this(program) => Program::ThisOne,
        Some(_) | None => Program::Another,
    };
    let unit = file.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let enabled = match manager {
        Manager::User => printed(Path::new("systemctl"), &["--user", "is-enabled", &unit], SHORT).await,
        Manager::System => printed(Path::new("systemctl"), &["is-enabled", &unit], SHORT).await,
        Manager::Launchd => {
            let label = unit.trim_end_matches(".plist");
            printed(Path::new("/bin/launchctl"), &["list", label], SHORT).await.map(|_| "enabled".to_owned())
        }
    };
    let lingers = match manager {
        Manager::User => environment.get("USER").map(|user| {
            let lingers = Path::new("/var/lib/systemd/linger").join(user).exists();
            if lingers { Lingers::Yes } else { Lingers::No }
        }),
        Manager::System | Manager::Launchd => None,
    };
    Service { file, program, program_is, enabled, lingers }
}

/// Whether it is the file that this program runs from, whatever name leads there.
fn is_this(program: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    own_program().is_ok_and(|own| real(Path::new(&own)) == real(program))
}

/// The program of a unit: the first word of `ExecStart=`, without the prefixes that systemd knows.
fn exec_start(unit: &str) -> Option<PathBuf> {
    let line = unit.lines().find_map(|line| line.trim().strip_prefix("ExecStart="))?;
    let line = line.trim_start_matches(['@', '-', ':', '+', '!']);
    let word = match line.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => line.split_whitespace().next(),
    };
    word.map(|word| PathBuf::from(word.replace("%%", "%")))
}

/// The program of a property list: the first string after `ProgramArguments`.
fn first_argument(list: &str) -> Option<PathBuf> {
    let (_, rest) = list.split_once("<key>ProgramArguments</key>")?;
    let (_, rest) = rest.split_once("<string>")?;
    let (word, _) = rest.split_once("</string>")?;
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(PathBuf::from(plain.into_iter().fold(word.to_owned(), |word, (code, it)| word.replace(code, it))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_of_a_service_is_read_from_what_its_manager_reads() {
        let unit = "[Service]\nType=notify\nExecStart=/opt/mlx-tree/bin/mlx-tree run\n";
        assert_eq!(exec_start(unit), Some(PathBuf::from("/opt/mlx-tree/bin/mlx-tree")));
        let quoted = "ExecStart=\"/opt/with space/mlx-tree\" run";
        assert_eq!(exec_start(quoted), Some(PathBuf::from("/opt/with space/mlx-tree")));
        let list =
            "<key>Label</key><string>x</string><key>ProgramArguments</key>\n<array>\n<string>/opt/a&amp;b</string>";
        assert_eq!(first_argument(list), Some(PathBuf::from("/opt/a&b")));
        assert_eq!((exec_start(""), first_argument("")), (None, None));
    }
}
