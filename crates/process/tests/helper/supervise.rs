//! A small supervisor, to be killed: locks, guard, server, record. Says who they are and waits.

use std::ffi::OsString;
use std::time::Duration;

use mlx_tree_process::state::{InstanceLock, Record, ServerLock, StateDir, settle_orphan};
use mlx_tree_process::{Grace, Guard, Launch, ProcessGroup};

pub(crate) fn run(dir: &str, server: &[&str]) {
    // One thread: what the crate itself asks of tokio is enough, so that the helper builds without the tests' features.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let ours: OsString = std::env::current_exe().expect("our path").into();
        let dir = StateDir::open(dir).expect("a state directory");
        let instance = match InstanceLock::acquire(&dir) {
            Ok(instance) => instance,
            Err(error) => {
                super::say(&format!("refused: {error}"));
                std::process::exit(75);
            }
        };
        let grace = Grace::new(Duration::from_millis(300));
        let settled = settle_orphan(&instance, grace).await.expect("settled");
        let lock = ServerLock::acquire(&instance).await.expect("nobody is left");
        let guard = Guard::start([ours.clone(), "guard".into()]).expect("a guard");
        let argv = std::iter::once(ours).chain(server.iter().map(OsString::from));
        let group = ProcessGroup::spawn(Launch::new(argv).lock(lock)).expect("a server");
        guard.protect(group.identity(), grace).expect("a guard that listens");
        let record = Record { server: group.identity().clone(), port: 0, nonce: group.nonce().to_owned() };
        record.write(&dir).expect("written");
        super::say(&format!("settled {settled:?}"));
        super::say(&format!("guard {}", guard.identity()));
        super::say(&format!("server {}", group.identity()));
        let lines = group.output();
        while let Some(line) = lines.next().await {
            super::say(&format!("said {}", line.text));
        }
    });
}
