//! Those who stand between the load and the server.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::load::{Connection, Kind, question};
use crate::support::rivals::{Rival, program, temporary};
use crate::support::{Instance, Setup, free_port, processes, say};

/// Somebody whom the load can ask.
pub struct Contestant {
    pub name: &'static str,
    pub address: SocketAddr,
    process: Process,
}

/// What it consists of.
enum Process {
    /// The server itself, which mlx-tree keeps.
    None,
    Tree(Instance),
    Rival(Rival),
}

/// Who is to take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Tree,
    Nginx,
    Haproxy,
}

/// Memory in bytes, with no stream open and with many.
pub struct Memory {
    pub idle: u64,
    pub open: u64,
}

// === impl Choice ===

impl Choice {
    pub fn parse(name: &str) -> Result<Self, String> {
        match name {
            "mlx-tree" => Ok(Self::Tree),
            "nginx" => Ok(Self::Nginx),
            "haproxy" => Ok(Self::Haproxy),
            _ => Err("mlx-tree, nginx or haproxy".to_owned()),
        }
    }
}

// === impl Contestant ===

impl Contestant {
    /// The server, and those of `chosen` that are here.
    pub async fn all(chosen: &[Choice], streams: usize) -> Vec<Self> {
        let tree = tree(streams).start();
        let server = tree.ready(1).await.server.url.expect("a ready server has an address");
        let server: SocketAddr = server.trim_start_matches("http://").parse().expect("an address");
        let told = tree.told(&["Clients are served at"]).await;
        let gateway = told.rsplit("http://").next().and_then(|it| it.trim().parse().ok()).expect("an address");
        let mut all = vec![
            Self { name: "direct", address: server, process: Process::None },
            Self { name: "mlx-tree", address: gateway, process: Process::Tree(tree) },
        ];
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        for (choice, name, pooled) in [
            (Choice::Nginx, "nginx", Pooled::No),
            (Choice::Nginx, "nginx, pooled", Pooled::Yes),
            (Choice::Haproxy, "haproxy", Pooled::No),
            (Choice::Haproxy, "haproxy, pooled", Pooled::Yes),
        ] {
            if !chosen.contains(&choice) {
                continue;
            }
            let (command, at) = match choice {
                Choice::Nginx => ("nginx", nginx as fn(&Path, u16, SocketAddr, Pooled) -> Vec<String>),
                Choice::Haproxy | Choice::Tree => ("haproxy", haproxy as _),
            };
            let Some(program) = program(command) else {
                say(&format!("{name}: not installed here"));
                continue;
            };
            let (home, port) = (tempfile::tempdir().expect("a directory"), free_port());
            let words = at(home.path(), port, server, pooled);
            let mut starting = Command::new(program);
            starting.args(words);
            let rival = Rival::start(starting, home, port, "/health").await;
            all.push(Self { name, address: local(port), process: Process::Rival(rival) });
        }
        all
    }

    /// What its processes take: all of them, each page once where it is shared between them.
    pub fn memory(&self, streams: usize) -> Option<Memory> {
        let root = self.root()?;
        let idle = resident(root);
        // A token in two seconds: it is open, and does nothing.
        let asked = question(self.address, 10_000, 1, Kind::Stream);
        let open: Vec<_> = (0..streams).filter_map(|_| Connection::open(self.address).ok()?.begin(&asked)).collect();
        if open.len() < streams {
            say(&format!("{}: only {} of {streams} streams are open", self.name, open.len()));
        }
        thread::sleep(Duration::from_millis(500));
        Some(Memory { idle, open: resident(root) })
    }

    /// How much processor time it has taken so far, in nanoseconds.
    pub fn work(&self) -> u64 {
        self.root().map_or(0, |root| family(root).into_iter().map(work).sum())
    }

    fn root(&self) -> Option<u32> {
        match &self.process {
            Process::None => None,
            Process::Tree(tree) => Some(tree.pid()),
            Process::Rival(rival) => Some(rival.pid()),
        }
    }

    /// Ends it.
    pub async fn end(self) {
        if let Process::Tree(tree) = self.process {
            tree.stop().await;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pooled {
    /// A connection for each request, which is all that `mlx_lm.server` can do.
    No,
    /// Connections to the server are kept.
    Yes,
}

fn tree(streams: usize) -> Setup {
    let program = std::env::current_exe().expect("a path");
    let command = [program.to_str().expect("utf-8"), "--be-the-server", "{port}"];
    Setup::serving(&command)
        .set("server.kind", "openai")
        .set("server.model", "trivial")
        // The load is to be measured, not the queue.
        .set("gateway.max_inflight", &streams.max(64).to_string())
        .set("gateway.max_connections", &(streams + 256).to_string())
        .set("gateway.max_queue", "1024")
        .set("health.interval", "60s")
        .set("health.timeout", "10s")
}

fn nginx(home: &Path, port: u16, server: SocketAddr, pooled: Pooled) -> Vec<String> {
    let (keep, header) = match pooled {
        Pooled::No => ("", ""),
        Pooled::Yes => ("keepalive 64;", "proxy_http_version 1.1; proxy_set_header Connection \"\";"),
    };
    let text = format!(
        "daemon off; worker_processes auto; pid nginx.pid; error_log error.log; events {{ worker_connections 2048; }}\n\
         http {{ access_log off; keepalive_requests 100000000; {}\n\
         upstream server {{ server {server}; {keep} }}\n\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://server; proxy_buffering off; {header} }} }} }}\n",
        temporary(home)
    );
    fs::write(home.join("nginx.conf"), text).expect("written");
    ["-p", home.to_str().expect("utf-8"), "-c", "nginx.conf", "-e", "stderr"].map(str::to_owned).into()
}

fn haproxy(home: &Path, port: u16, server: SocketAddr, pooled: Pooled) -> Vec<String> {
    let mode = match pooled {
        Pooled::No => "option http-server-close\n  http-reuse never",
        Pooled::Yes => "option http-keep-alive\n  http-reuse always",
    };
    let text = format!(
        "global\n  maxconn 2048\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 100s\n  timeout server 100s\n  \
         option http-no-delay\n  {mode}\nlisten all\n  bind 127.0.0.1:{port}\n  server one {server}\n"
    );
    fs::write(home.join("haproxy.cfg"), text).expect("written");
    ["-f", "haproxy.cfg", "-db"].map(str::to_owned).into()
}

/// The resident memory of a process and of its family.
fn resident(root: u32) -> u64 {
    family(root).into_iter().map(processes::resident).sum()
}

/// A process and all that descend from it, but for what mlx-tree keeps: the server.
fn family(root: u32) -> BTreeSet<u32> {
    let (all, mut family) = (processes::all(), BTreeSet::from([root]));
    let is_server = |it: &processes::Process| it.words.iter().any(|word| word == "--be-the-server");
    while let Some(next) =
        all.iter().find(|it| family.contains(&it.parent) && !family.contains(&it.pid) && !is_server(it))
    {
        family.insert(next.pid);
    }
    family
}

/// The processor time that the threads of a process have taken, in nanoseconds.
fn work(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let spans = tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
    spans.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum()
}
