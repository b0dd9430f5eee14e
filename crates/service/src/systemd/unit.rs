//! The unit as text.

use std::fmt::Write as _;

use super::escape::{argument, program, value};
use crate::{Definition, MARK, RunAs, Scope};

/// The unit that runs `definition`.
///
/// mlx-tree restarts the server, and systemd restarts mlx-tree: each line below is there so that neither gets into the
/// other's way. The reasons stand in the unit itself, for whoever reads it on a machine.
#[must_use]
pub fn text(definition: &Definition) -> String {
    let mut unit = head(definition);
    unit.push_str(&service(definition));
    match definition.scope {
        Scope::User => {
            unit.push_str(
                "\n# A unit of a user cannot have what needs the machine's privileges; see `mlx-tree service print --system`.\n\
                 NoNewPrivileges=yes\n\
                 UMask=0077\n",
            );
            unit.push_str("\n[Install]\nWantedBy=default.target\n");
        }
        Scope::System => {
            unit.push_str(&account(definition));
            unit.push_str(HARDENING);
            unit.push_str("\n[Install]\nWantedBy=multi-user.target\n");
        }
    }
    unit
}

/// Whether a unit that [`text`] has made runs this program.
pub(crate) fn runs(unit: &str, path: &str) -> bool {
    unit.contains(&format!("\nExecStart={} run", program(path)))
}

fn head(definition: &Definition) -> String {
    let user = match definition.scope {
        Scope::User => " --user",
        Scope::System => "",
    };
    let name = &definition.name;
    let mut head = format!(
        "# {MARK}, which writes it anew. What is to be otherwise goes into a drop-in:\n\
         #   systemctl{user} edit {name}\n\
         [Unit]\n\
         Description=mlx-tree keeps a local LLM server alive\n"
    );
    match definition.scope {
        Scope::User => {}
        Scope::System => head.push_str("Wants=network-online.target\nAfter=network-online.target\n"),
    }
    head.push_str("# Never given up: mlx-tree itself holds back what does not help.\nStartLimitIntervalSec=0\n");
    head
}

fn service(definition: &Definition) -> String {
    let words = |verb: &str| {
        let arguments = definition.arguments.iter().map(|word| format!(" {}", argument(word)));
        format!("{} {verb}{}", program(&definition.program), arguments.collect::<String>())
    };
    let (run, reload, stop) = (words("run"), words("reload"), definition.stop.as_secs().max(1));
    let mut service = format!(
        "\n[Service]\n\
         Type=notify\n\
         NotifyAccess=main\n\
         ExecStart={run}\n\
         # Waits until it is done, and fails if the new configuration cannot be used.\n\
         ExecReload={reload}\n"
    );
    for (name, text) in &definition.variables {
        let _ = writeln!(service, "Environment={}", value(&format!("{name}={text}")));
    }
    let _ = write!(
        service,
        "Restart=on-failure\n\
         RestartSec=5s\n\
         # A wrong command line and a wrong configuration do not get better by themselves.\n\
         RestartPreventExitStatus=64 78\n\
         # Asked for by mlx-tree while it installs Python or fetches a model: only silence is too long.\n\
         TimeoutStartSec=90s\n\
         # shutdown.drain and shutdown.grace, and some time on top.\n\
         TimeoutStopSec={stop}s\n\
         # Fed by round trips through the supervision tree.\n\
         WatchdogSec=60s\n\
         # SIGTERM is for mlx-tree, which ends the server in its own order. SIGKILL, if it comes to that, is for all.\n\
         KillMode=mixed\n\
         # The kernel ends the server for lack of memory, and mlx-tree deals with it: no reason to stop everything.\n\
         OOMPolicy=continue\n\
         # A control group for each life of the server.\n\
         Delegate=yes\n\
         LimitNOFILE=8192:524288\n\
         # A core would hold what people asked, and be as large as the model.\n\
         LimitCORE=0\n"
    );
    service
}

fn account(definition: &Definition) -> String {
    let name = &definition.name;
    let user = definition.run_as.as_ref().map_or("mlx-tree", RunAs::as_str);
    let mut account = format!(
        "\nUser={user}\n\
         StateDirectory={name}\n\
         StateDirectoryMode=0700\n\
         CacheDirectory={name}\n\
         CacheDirectoryMode=0700\n\
         UMask=0077\n"
    );
    for path in &definition.writes {
        // With a `-` one that is not there yet is no error.
        let _ = writeln!(account, "ReadWritePaths={}", value(&format!("-{path}")));
    }
    account
}

/// What a Python that computes on a GPU does not need. Left out on purpose: `MemoryDenyWriteExecute` (compilers of kernels write
/// code), `PrivateDevices` (the GPU is one), `ProtectControlGroups` (there is one for each life of the server), `ProcSubset`
/// and `ProtectProc` (who listens on a port, and who is left over, is read from /proc).
const HARDENING: &str = "
# What a Python that computes on a GPU can do without.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn definition(scope: Scope) -> Definition {
        Definition {
            name: "mlx-tree".parse().expect("a name"),
            scope,
            program: "/opt/mlx tree/100%/$bin/mlx-tree".to_owned(),
            arguments: ["--config", "/srv/a \"b\"/$c.toml", "--state-dir", "/srv/100%"].map(str::to_owned).to_vec(),
            variables: vec![("PATH".to_owned(), "/usr/bin:/opt/my bin".to_owned())],
            run_as: Some("llm".parse().expect("an account")),
            stop: Duration::from_secs(55),
            writes: vec!["/srv/100%".to_owned()],
            log: None,
        }
    }

    #[test]
    fn the_unit_of_a_user() {
        let unit = text(&definition(Scope::User));
        assert!(runs(&unit, "/opt/mlx tree/100%/$bin/mlx-tree") && !runs(&unit, "/opt/mlx-tree"));
        insta::assert_snapshot!(unit, @r#"
        # Written by `mlx-tree service install`, which writes it anew. What is to be otherwise goes into a drop-in:
        #   systemctl --user edit mlx-tree
        [Unit]
        Description=mlx-tree keeps a local LLM server alive
        # Never given up: mlx-tree itself holds back what does not help.
        StartLimitIntervalSec=0

        [Service]
        Type=notify
        NotifyAccess=main
        ExecStart="/opt/mlx tree/100%%/$bin/mlx-tree" run --config "/srv/a \"b\"/$$c.toml" --state-dir "/srv/100%%"
        # Waits until it is done, and fails if the new configuration cannot be used.
        ExecReload="/opt/mlx tree/100%%/$bin/mlx-tree" reload --config "/srv/a \"b\"/$$c.toml" --state-dir "/srv/100%%"
        Environment="PATH=/usr/bin:/opt/my bin"
        Restart=on-failure
        RestartSec=5s
        # A wrong command line and a wrong configuration do not get better by themselves.
        RestartPreventExitStatus=64 78
        # Asked for by mlx-tree while it installs Python or fetches a model: only silence is too long.
        TimeoutStartSec=90s
        # shutdown.drain and shutdown.grace, and some time on top.
        TimeoutStopSec=55s
        # Fed by round trips through the supervision tree.
        WatchdogSec=60s
        # SIGTERM is for mlx-tree, which ends the server in its own order. SIGKILL, if it comes to that, is for all.
        KillMode=mixed
        # The kernel ends the server for lack of memory, and mlx-tree deals with it: no reason to stop everything.
        OOMPolicy=continue
        # A control group for each life of the server.
        Delegate=yes
        LimitNOFILE=8192:524288
        # A core would hold what people asked, and be as large as the model.
        LimitCORE=0

        # A unit of a user cannot have what needs the machine's privileges; see `mlx-tree service print --system`.
        NoNewPrivileges=yes
        UMask=0077

        [Install]
        WantedBy=default.target
        "#);
    }

    #[test]
    fn the_unit_of_the_machine() {
        insta::assert_snapshot!(text(&definition(Scope::System)), @r#"
        # Written by `mlx-tree service install`, which writes it anew. What is to be otherwise goes into a drop-in:
        #   systemctl edit mlx-tree
        [Unit]
        Description=mlx-tree keeps a local LLM server alive
        Wants=network-online.target
        After=network-online.target
        # Never given up: mlx-tree itself holds back what does not help.
        StartLimitIntervalSec=0

        [Service]
        Type=notify
        NotifyAccess=main
        ExecStart="/opt/mlx tree/100%%/$bin/mlx-tree" run --config "/srv/a \"b\"/$$c.toml" --state-dir "/srv/100%%"
        # Waits until it is done, and fails if the new configuration cannot be used.
        ExecReload="/opt/mlx tree/100%%/$bin/mlx-tree" reload --config "/srv/a \"b\"/$$c.toml" --state-dir "/srv/100%%"
        Environment="PATH=/usr/bin:/opt/my bin"
        Restart=on-failure
        RestartSec=5s
        # A wrong command line and a wrong configuration do not get better by themselves.
        RestartPreventExitStatus=64 78
        # Asked for by mlx-tree while it installs Python or fetches a model: only silence is too long.
        TimeoutStartSec=90s
        # shutdown.drain and shutdown.grace, and some time on top.
        TimeoutStopSec=55s
        # Fed by round trips through the supervision tree.
        WatchdogSec=60s
        # SIGTERM is for mlx-tree, which ends the server in its own order. SIGKILL, if it comes to that, is for all.
        KillMode=mixed
        # The kernel ends the server for lack of memory, and mlx-tree deals with it: no reason to stop everything.
        OOMPolicy=continue
        # A control group for each life of the server.
        Delegate=yes
        LimitNOFILE=8192:524288
        # A core would hold what people asked, and be as large as the model.
        LimitCORE=0

        User=llm
        StateDirectory=mlx-tree
        StateDirectoryMode=0700
        CacheDirectory=mlx-tree
        CacheDirectoryMode=0700
        UMask=0077
        ReadWritePaths="-/srv/100%%"

        # What a Python that computes on a GPU can do without.
        NoNewPrivileges=yes
        CapabilityBoundingSet=
        AmbientCapabilities=
        ProtectSystem=strict
        ProtectHome=read-only
        PrivateTmp=yes
        ProtectKernelTunables=yes
        ProtectKernelModules=yes
        ProtectKernelLogs=yes
        ProtectClock=yes
        ProtectHostname=yes
        RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
        RestrictNamespaces=yes
        RestrictRealtime=yes
        RestrictSUIDSGID=yes
        LockPersonality=yes
        RemoveIPC=yes
        SystemCallArchitectures=native
        SystemCallFilter=@system-service
        SystemCallErrorNumber=EPERM

        [Install]
        WantedBy=multi-user.target
        "#);
    }
}
