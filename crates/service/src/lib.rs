//! mlx-tree as a service of the system: units for systemd and launchd, and what systemd is told while it runs.
//!
//! A [`Definition`] says what is to run. [`install`] writes it down as a unit or a property list and has the service manager
//! start it, [`uninstall`] takes it away again, [`state`] asks how it is. A process that systemd has started speaks to it
//! through a [`Notifier`], and [`feed`]s its watchdog.
//!
//! Nothing here reads the environment: paths and addresses are given.

mod definition;
mod file;
pub mod launchd;
mod manage;
mod notify;
pub mod systemd;
mod tool;
mod watchdog;

pub use definition::{Definition, DefinitionError, Manager, Name, NameError, RunAs, Scope};
pub use file::{FileError, Found, MARK};
pub use manage::{
    Activity, AtBoot, Foreign, Installed, Place, Running, ServiceError, State, Uninstalled, Written, install, runs,
    state, text, uninstall,
};
pub use notify::{Notice, Notifier, NotifyError};
pub use tool::ToolError;
pub use watchdog::feed;
