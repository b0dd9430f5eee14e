//! What a child finds itself with; one `key: value` a line.

#[cfg(target_os = "linux")]
use std::fs;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{getpgrp, getpid, getsid};

pub(crate) fn run() {
    println!("cwd: {}", std::env::current_dir().expect("a directory").display());
    println!("leads its group: {}", getpgrp() == getpid());
    println!("leads a session: {}", getsid(None).expect("a session") == getpid());
    println!("core limit: {:?}", getrlimit(Resource::RLIMIT_CORE).expect("a limit"));
    for word in std::env::args().skip(1) {
        println!("arg: {word}");
    }
    for (name, value) in std::env::vars() {
        println!("env: {name}={value}");
    }
    #[cfg(target_os = "linux")]
    {
        println!("stdin: {}", fs::read_link("/proc/self/fd/0").expect("open").display());
        let status = fs::read_to_string("/proc/self/status").expect("readable");
        for line in status.lines().filter(|line| line.starts_with("SigBlk") || line.starts_with("SigIgn")) {
            println!("{}", line.replace('\t', " "));
        }
        let mut open: Vec<i32> = fs::read_dir("/proc/self/fd")
            .expect("readable")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|fd| *fd > 2)
            .collect();
        open.sort_unstable();
        for fd in open {
            // The descriptor with which we looked is closed by now.
            if let Ok(what) = fs::read_link(format!("/proc/self/fd/{fd}")) {
                println!("open: {fd} {}", what.display());
            }
        }
    }
}
