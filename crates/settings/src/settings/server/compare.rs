//! What a change of one server's keys takes: most of them are what its process was started with.

use super::preload::All;
use super::{LaunchSettings, Ranks, ServerSettings};
use crate::ServerEnv;
use crate::plan::{Diff, Effect};
use crate::secret::masked;

impl ServerSettings {
    /// Compares one server with what it is to become.
    pub(crate) fn compare(&self, new: &Self, diff: &mut Diff) {
        let Self {
            name,
            aliases,
            kind,
            python,
            model,
            args,
            command: _,
            cwd,
            env,
            host,
            port,
            preload,
            start_timeout,
            trust_remote_code,
            start,
            idle_stop,
            memory,
            memory_soft_limit,
            memory_hard_limit,
            launch,
        } = self;
        let restart = Effect::Restart(self.name().to_owned());
        let next_start = Effect::NextStart(self.name().to_owned());
        // Shown as the list that it is written as.
        let command = |server: &Self| server.command.as_ref().map_or_else(Vec::new, |it| it.words().to_vec());
        diff.key("name", &Effect::Program, name, &new.name);
        diff.live("aliases", aliases, &new.aliases);
        diff.key("kind", &restart, kind, &new.kind);
        diff.key("python", &restart, python, &new.python);
        diff.key("model", &restart, model, &new.model);
        diff.key("args", &restart, args, &new.args);
        diff.key("command", &restart, &command(self), &command(new));
        diff.key("cwd", &restart, cwd, &new.cwd);
        compare_env(env, &new.env, &restart, diff);
        diff.key("host", &restart, host, &new.host);
        diff.key("port", &restart, port, &new.port);
        diff.key("preload", &next_start, &All(preload.clone()), &All(new.preload.clone()));
        diff.key("start_timeout", &next_start, start_timeout, &new.start_timeout);
        diff.live("trust_remote_code", trust_remote_code, &new.trust_remote_code);
        diff.key("start", &Effect::Program, start, &new.start);
        diff.live("idle_stop", idle_stop, &new.idle_stop);
        diff.live("memory", memory, &new.memory);
        diff.live("memory_soft_limit", memory_soft_limit, &new.memory_soft_limit);
        diff.live("memory_hard_limit", memory_hard_limit, &new.memory_hard_limit);
        compare_launch(launch.as_ref(), new.launch.as_ref(), &restart, diff);
    }

    /// What holds when `new` has come after this: its name and its way of being started are those of the tree.
    pub(crate) fn followed_by(&self, new: Self) -> Self {
        Self { name: self.name.clone(), start: self.start, ..new }
    }
}

fn compare_env(old: &ServerEnv, new: &ServerEnv, restart: &Effect, diff: &mut Diff) {
    let gone = old.iter().filter(|(name, _)| new.get(name).is_none()).map(|(name, _)| name);
    for name in new.iter().map(|(name, _)| name).chain(gone) {
        let (before, after) = (old.get(name), new.get(name));
        if before != after {
            let shown = |value: Option<&str>| value.map(|value| masked(name, value).to_owned());
            let (before, after) = (shown(before), shown(after));
            diff.say(
                &format!("env.{name}"),
                restart,
                before.as_ref().map(|it| it as _),
                after.as_ref().map(|it| it as _),
            );
        }
    }
}

fn compare_launch(old: Option<&LaunchSettings>, new: Option<&LaunchSettings>, restart: &Effect, diff: &mut Diff) {
    let ranks = |launch: Option<&LaunchSettings>| match launch.map(|launch| &launch.ranks) {
        Some(Ranks::Here(ranks)) => *ranks,
        Some(Ranks::Hosts(_)) | None => 1,
    };
    let hosts = |launch: Option<&LaunchSettings>| match launch.map(|launch| &launch.ranks) {
        Some(Ranks::Hosts(file)) => file.clone(),
        Some(Ranks::Here(_)) | None => std::path::PathBuf::new(),
    };
    diff.key("launch.ranks", restart, &ranks(old), &ranks(new));
    diff.key("launch.hostfile", restart, &hosts(old), &hosts(new));
    if let (Some(old), Some(new)) = (old, new) {
        diff.key("launch.backend", restart, &old.backend, &new.backend);
    }
}
