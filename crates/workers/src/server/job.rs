//! A server that is several processes: a job of `mlx.launch`, owned as one child.
//!
//! The launcher stays the leader of the group and its ranks are in it, so whatever ends the group ends them all. Three things
//! are different for a job, and each is asked about where it matters:
//!
//! * its exit code says nothing: the launcher ends with 0 whatever became of a rank;
//! * its processor time says nothing: the launcher and an idle rank wait by spinning;
//! * its ranks talk to each other on ports of their own, which have to be free as well.

use std::ffi::OsString;
use std::path::PathBuf;

/// How a server becomes a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// `mlx.launch`.
    pub launcher: PathBuf,
    /// Who takes part.
    pub ranks: Ranks,
    /// How they talk to each other.
    pub backend: String,
}

/// Who takes part in a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ranks {
    /// Processes on this machine.
    Here {
        /// So many.
        count: u16,
        /// The port of the first one; each further one has the next. 0 until the launch.
        first_port: u16,
    },
    /// The hosts in this file.
    Hosts(PathBuf),
}

/// The backend whose ranks need ports of ours.
const RING: &str = "ring";

// === impl Job ===

impl Job {
    /// How many ports in a row its ranks need here.
    pub(super) fn ports(&self) -> u16 {
        match &self.ranks {
            Ranks::Here { count, .. } if self.backend == RING => *count,
            Ranks::Here { .. } | Ranks::Hosts(_) => 0,
        }
    }

    /// The same job with these ports for its ranks.
    pub(super) fn on_ports_from(mut self, port: u16) -> Self {
        match &mut self.ranks {
            Ranks::Here { first_port, .. } => *first_port = port,
            Ranks::Hosts(_) => {}
        }
        self
    }

    /// The command line of the job whose ranks each run `server`.
    pub(super) fn argv(&self, server: Vec<OsString>) -> Vec<OsString> {
        let mut argv = vec![self.launcher.clone().into_os_string(), "--backend".into(), self.backend.clone().into()];
        match &self.ranks {
            Ranks::Here { count, first_port } => {
                argv.extend(["-n".into(), count.to_string().into()]);
                if *first_port != 0 {
                    argv.extend(["--starting-port".into(), first_port.to_string().into()]);
                }
            }
            Ranks::Hosts(file) => argv.extend(["--hostfile".into(), file.clone().into_os_string()]),
        }
        argv.push("--".into());
        argv.extend(server);
        argv
    }
}
