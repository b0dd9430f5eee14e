//! Installing, uninstalling, and asking how it is.
//!
//! ```text
//!            nothing there        ours, same text        ours, other text         somebody else's
//! install    written, loaded      started if it is down  written anew, restarted  refused; put aside if that is said
//! uninstall  said so              ended, removed         ended, removed           refused
//! ```
//!
//! An install that the service manager refuses leaves the file system as it was.

use std::path::PathBuf;

use crate::tool::{self, ToolError};
use crate::{Definition, DefinitionError, FileError, Found, Manager, Name, Scope, file, launchd, systemd};

/// Where a service is, and who runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Who runs it.
    pub manager: Manager,
    /// The directory of its file.
    pub directory: PathBuf,
}

/// Whether a file of somebody else is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// It stays, and nothing is done.
    Stays,
    /// It is put aside.
    PutAside,
}

/// Whether it runs before it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// No.
    No,
    /// Yes, and there is no reason to disturb it.
    AsItIs,
    /// Yes, by a text that holds no more.
    ByAnotherText,
}

/// How it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activity {
    /// The service manager does not know it.
    Unknown,
    /// It is down, as it should be.
    Down,
    /// It is on its way.
    Starting {
        /// Its process.
        pid: Option<u32>,
        /// What it says of itself.
        says: Option<String>,
    },
    /// It runs.
    Up {
        /// Its process.
        pid: Option<u32>,
        /// What it says of itself.
        says: Option<String>,
    },
    /// It is ending.
    Stopping,
    /// It is down, and should not be.
    Failed {
        /// Why.
        why: String,
    },
}

/// Whether it is started by itself: with the machine, or when its user logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtBoot {
    /// Yes.
    Yes,
    /// No.
    No,
    /// The service manager has not said so plainly.
    Unclear,
}

/// What became of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is new.
    New,
    /// It was there, with this very text.
    Unchanged,
    /// It was ours, with another text.
    Updated,
    /// It was somebody else's, which is now here.
    InPlaceOf(PathBuf),
}

/// What an install has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The file.
    pub path: PathBuf,
    /// What became of it.
    pub written: Written,
    /// Whether it ran before.
    pub ran: Running,
}

/// What an uninstall has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uninstalled {
    /// There was nothing.
    WasNotThere(PathBuf),
    /// It has ended, and its file is gone.
    Gone(PathBuf),
}

/// How a service is, altogether.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Its file.
    pub path: PathBuf,
    /// What is there.
    pub found: Found,
    /// How it is.
    pub activity: Activity,
    /// Whether it is started by itself.
    pub at_boot: AtBoot,
    /// Whether a user's services go on when they have logged out, where that can be known.
    pub lingers: Option<bool>,
}

/// Why nothing could be done.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// It cannot be written down.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The service manager refused, or is not there.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// There is a file of this name that mlx-tree has not written.
    #[error("{} was not written by mlx-tree", .0.display())]
    Foreign(PathBuf),
    /// The account that it is to run under does not exist.
    #[error("there is no account {0:?}")]
    NoAccount(String),
}

// === impl Place ===

impl Place {
    /// The file of a service called `name`.
    #[must_use]
    pub fn file(&self, name: &Name) -> PathBuf {
        self.directory.join(match self.manager {
            Manager::Systemd => name.unit(),
            Manager::Launchd => format!("{}.plist", name.label()),
        })
    }
}

/// The text of the file that runs `definition`.
///
/// # Errors
/// [`DefinitionError`] when no such text can hold it.
pub fn text(definition: &Definition, manager: Manager) -> Result<String, DefinitionError> {
    definition.check(manager)?;
    Ok(match manager {
        Manager::Systemd => systemd::text(definition),
        Manager::Launchd => launchd::text(definition),
    })
}

/// Whether a file that [`text`] has made runs `program`, rather than an mlx-tree at another place.
#[must_use]
pub fn runs(text: &str, manager: Manager, program: &str) -> bool {
    match manager {
        Manager::Systemd => systemd::runs(text, program),
        Manager::Launchd => launchd::runs(text, program),
    }
}

/// Writes the service down and has it started, now and from now on. Does not wait for it to be up.
///
/// # Errors
/// [`ServiceError`]. The files are then as they were; if only the last step failed, the start, the service may be known to its
/// manager.
pub fn install(definition: &Definition, place: &Place, foreign: Foreign) -> Result<Installed, ServiceError> {
    let text = text(definition, place.manager)?;
    let (name, scope, path) = (&definition.name, definition.scope, place.file(&definition.name));
    if let Some(account) = &definition.run_as
        && tool::run(&["id", "-u", account.as_str()]).is_err()
    {
        return Err(ServiceError::NoAccount(account.as_str().to_owned()));
    }
    let found = file::look(&path)?;
    let (activity, _) = activity(place.manager, name, scope)?;
    let written = match &found {
        Found::Nothing => Written::New,
        Found::Ours(old) if *old == text => Written::Unchanged,
        Found::Ours(_) => Written::Updated,
        Found::Foreign => match foreign {
            Foreign::Stays => return Err(ServiceError::Foreign(path)),
            Foreign::PutAside => Written::InPlaceOf(file::put_aside(&path)?),
        },
    };
    let ran = match (&activity, &written) {
        (Activity::Up { .. } | Activity::Starting { .. } | Activity::Failed { .. }, Written::Unchanged) => {
            Running::AsItIs
        }
        (Activity::Up { .. } | Activity::Starting { .. } | Activity::Failed { .. } | Activity::Stopping, _) => {
            Running::ByAnotherText
        }
        // Known to launchd means loaded, whether or not it runs.
        (Activity::Down, _) if place.manager == Manager::Launchd => match written {
            Written::Unchanged => Running::AsItIs,
            Written::New | Written::Updated | Written::InPlaceOf(_) => Running::ByAnotherText,
        },
        (Activity::Down | Activity::Unknown, _) => Running::No,
    };
    if written != Written::Unchanged {
        file::write(&path, &text)?;
    }
    let loaded = match place.manager {
        Manager::Systemd => systemd::load(name, scope, ran),
        Manager::Launchd => launchd::load(name, &path, ran, definition.stop),
    };
    if let Err(error) = loaded {
        undo(name, scope, place, &found, &written)?;
        return Err(error.into());
    }
    Ok(Installed { path, written, ran })
}

/// Puts back what was there, and has the service manager see that, as far as it listens.
fn undo(name: &Name, scope: Scope, place: &Place, found: &Found, written: &Written) -> Result<(), FileError> {
    let path = place.file(name);
    let fresh = matches!((found, written), (Found::Nothing, Written::New));
    match place.manager {
        Manager::Systemd if fresh => drop(systemd::unload(name, scope)),
        Manager::Launchd if fresh => drop(launchd::unload(name)),
        Manager::Systemd | Manager::Launchd => {}
    }
    match (found, written) {
        (_, Written::Unchanged) => return Ok(()),
        (Found::Ours(old), _) => file::write(&path, old)?,
        (Found::Foreign, Written::InPlaceOf(aside)) => file::put_back(aside, &path)?,
        (Found::Nothing | Found::Foreign, _) => file::remove(&path)?,
    }
    match place.manager {
        Manager::Systemd => drop(systemd::forget(name, scope)),
        Manager::Launchd => {}
    }
    Ok(())
}

/// Ends the service and removes its file.
///
/// # Errors
/// [`ServiceError`]; the file is then still there.
pub fn uninstall(name: &Name, scope: Scope, place: &Place) -> Result<Uninstalled, ServiceError> {
    let path = place.file(name);
    match file::look(&path)? {
        Found::Nothing => return Ok(Uninstalled::WasNotThere(path)),
        Found::Foreign => return Err(ServiceError::Foreign(path)),
        Found::Ours(_) => {}
    }
    match place.manager {
        Manager::Systemd => systemd::unload(name, scope)?,
        Manager::Launchd => launchd::unload(name)?,
    }
    file::remove(&path)?;
    match place.manager {
        Manager::Systemd => systemd::forget(name, scope)?,
        Manager::Launchd => {}
    }
    Ok(Uninstalled::Gone(path))
}

/// Asks how the service is; `user` is whose it is, if it is a user's.
///
/// # Errors
/// [`ServiceError`] when the service manager cannot be asked.
pub fn state(name: &Name, scope: Scope, place: &Place, user: Option<&str>) -> Result<State, ServiceError> {
    let path = place.file(name);
    let found = file::look(&path)?;
    let (activity, at_boot) = activity(place.manager, name, scope)?;
    let lingers = match (place.manager, scope) {
        (Manager::Systemd, Scope::User) => user.and_then(systemd::lingers),
        (Manager::Systemd, Scope::System) | (Manager::Launchd, _) => None,
    };
    Ok(State { path, found, activity, at_boot, lingers })
}

fn activity(manager: Manager, name: &Name, scope: Scope) -> Result<(Activity, AtBoot), ToolError> {
    match manager {
        Manager::Systemd => systemd::state(name, scope),
        Manager::Launchd => launchd::state(name),
    }
}
