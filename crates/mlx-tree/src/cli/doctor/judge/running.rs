//! What runs: ports, the mlx-tree of this place and others, the fallback, and services.

use mlx_tree::api::Language;
use mlx_tree::process::port::PortState;

use super::super::Finding;
use super::super::facts::{Alive, Fallback, Known, Lingers, Ours, Port, Program, Pull, Running, Service};

/// The version that is being asked.
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn port(port: &Port, language: Language) -> Finding {
    let Port { key, address, state, ours } = port;
    match (state, ours) {
        (Err(why), _) => Finding::unknown("port", format!("{key} = {address}: {why}")),
        (Ok(PortState::Free), _) => Finding::good(
            "port",
            language.pick(format!("{key} = {address} is free"), format!("{key} = {address} свободен")),
        ),
        (Ok(PortState::Held { .. }), Ours::Yes) => Finding::good(
            "port",
            language.pick(
                format!("{key} = {address} is held by the mlx-tree that runs here"),
                format!("{key} = {address} занят здешним mlx-tree"),
            ),
        ),
        (Ok(PortState::Held { holders }), Ours::No) => {
            let holders: Vec<_> = holders.iter().map(|it| format!("pid {} ({})", it.pid, it.command)).collect();
            let who = if holders.is_empty() {
                language.pick("a process of another user", "процессом другого пользователя").to_owned()
            } else {
                holders.join(", ")
            };
            Finding::bad(
                "port",
                language.pick(format!("{key} = {address} is held by {who}"), format!("{key} = {address} занят: {who}")),
                language.pick(
                    format!("end that process, or set {key} to another port"),
                    format!("завершите этот процесс или укажите в {key} другой порт"),
                ),
            )
        }
    }
}

pub(super) fn running(running: &Running, language: Language) -> Finding {
    match running {
        Running::No => Finding::good("instance", language.pick("none runs here", "здесь не запущен")),
        Running::Unknown(why) => Finding::unknown("instance", language.say(why)),
        Running::Silent { pid, alive: Alive::No } => Finding::note(
            "instance",
            language.pick(
                format!("none runs here; pid {pid} was killed"),
                format!("здесь не запущен; процесс {pid} был убит"),
            ),
            language.pick(
                "`mlx-tree` starts another one, and cleans up after it",
                "`mlx-tree` запустит новый и приберёт за ним",
            ),
        ),
        Running::Silent { pid, alive: Alive::Yes } => Finding::bad(
            "instance",
            language.pick(
                format!("pid {pid} runs, and its control API does not answer"),
                format!("процесс {pid} работает, но его управляющий API не отвечает"),
            ),
            language.pick(
                format!("look at its log; kill {pid} ends it and its servers"),
                format!("посмотрите его журнал; kill {pid} завершит его и его серверы"),
            ),
        ),
        Running::Answers { pid, version, .. } if version != VERSION => Finding::note(
            "instance",
            language.pick(
                format!("pid {pid} runs and answers; it is {version}, and this is {VERSION}"),
                format!("процесс {pid} работает и отвечает; его версия {version}, а эта — {VERSION}"),
            ),
            language.pick("restart it for the new version", "перезапустите его ради новой версии"),
        ),
        Running::Answers { pid, version, degraded } if degraded.is_empty() => {
            let said = language.pick(
                format!("pid {pid} runs and answers, {version}"),
                format!("процесс {pid} работает и отвечает, {version}"),
            );
            Finding::good("instance", said)
        }
        Running::Answers { pid, degraded, .. } => {
            let degraded: Vec<_> = degraded.iter().map(|it| language.say(it)).collect();
            Finding::note(
                "instance",
                language.pick(
                    format!("pid {pid} runs, degraded: {}", degraded.join("; ")),
                    format!("процесс {pid} работает, но не в полную силу: {}", degraded.join("; ")),
                ),
                language.pick(
                    "`mlx-tree status` and `mlx-tree why` tell more",
                    "подробнее — `mlx-tree status` и `mlx-tree why`",
                ),
            )
        }
    }
}

pub(super) fn others(others: &Known<Vec<i32>>, language: Language) -> Option<Finding> {
    match others {
        Err(why) => Some(Finding::unknown("others", why.clone())),
        Ok(pids) if pids.is_empty() => None,
        Ok(pids) => {
            let pids = pids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Some(Finding::note(
                "others",
                language.pick(
                    format!("further mlx-tree run, with other state directories: pid {pids}"),
                    format!("работают и другие mlx-tree, с другими state_dir: pid {pids}"),
                ),
                language.pick(
                    "together they must fit into the memory, and each needs ports of its own",
                    "вместе они должны помещаться в память, и у каждого должны быть свои порты",
                ),
            ))
        }
    }
}

pub(super) fn fallback(fallback: &Fallback, language: Language) -> Finding {
    let Fallback { address, wanted, models, pull } = fallback;
    match models {
        Err(why) => Finding::bad(
            "fallback",
            language.pick(format!("{address} does not answer: {why}"), format!("{address} не отвечает: {why}")),
            match pull {
                Pull::Ollama => language.pick(
                    "start it: ollama serve; or set fallback.policy = \"deny\"",
                    "запустите его: ollama serve; или задайте fallback.policy = \"deny\"",
                ),
                Pull::ByHand => language.pick(
                    "start it, or set fallback.policy = \"deny\"",
                    "запустите его или задайте fallback.policy = \"deny\"",
                ),
            },
        ),
        Ok(models) => {
            let has = |wanted: &str| models.iter().any(|it| it == wanted || it.strip_suffix(":latest") == Some(wanted));
            let missing: Vec<_> = wanted.iter().filter(|wanted| !has(wanted)).map(String::as_str).collect();
            match missing.first() {
                None => Finding::good(
                    "fallback",
                    language.pick(
                        format!("{address} answers and has {}", wanted.join(", ")),
                        format!("{address} отвечает, модели на месте: {}", wanted.join(", ")),
                    ),
                ),
                Some(first) => Finding::bad(
                    "fallback",
                    language.pick(
                        format!("{address} answers and lacks {}", missing.join(", ")),
                        format!("{address} отвечает, но нет моделей: {}", missing.join(", ")),
                    ),
                    match pull {
                        Pull::Ollama => format!("ollama pull {first}"),
                        Pull::ByHand => language.pick(
                            format!("load {first} there, or name another model"),
                            format!("загрузите там {first} или укажите другую модель"),
                        ),
                    },
                ),
            }
        }
    }
}

pub(super) fn services(services: &Known<Vec<Service>>, language: Language) -> Vec<Finding> {
    match services {
        Err(why) => vec![Finding::unknown("service", why.clone())],
        Ok(services) if services.is_empty() => vec![Finding::good(
            "service",
            language.pick(
                "none installed: it runs when somebody starts it",
                "не установлен: mlx-tree работает, когда его запускают",
            ),
        )],
        Ok(services) => services.iter().map(|it| service(it, language)).collect(),
    }
}

fn service(service: &Service, language: Language) -> Finding {
    let file = service.file.display();
    let again = language.pick("install it again with this program", "установите его заново этой программой");
    let program = service.program.as_ref().map_or_else(String::new, |program| program.display().to_string());
    match service.program_is {
        Program::Gone => {
            let said = language.pick(
                format!("{file} starts {program}, which is not there"),
                format!("{file} запускает {program}, а его нет"),
            );
            return Finding::bad("service", said, again);
        }
        Program::Another => {
            let said = language.pick(
                format!("{file} starts {program}, which is another program than this"),
                format!("{file} запускает {program}, а это другая программа"),
            );
            return Finding::note("service", said, again);
        }
        Program::ThisOne => {}
    }
    let enabled = match &service.enabled {
        Err(why) => return Finding::unknown("service", format!("{file}: {why}")),
        Ok(enabled) => enabled,
    };
    let said = format!("{file}: {enabled}");
    if !enabled.starts_with("enabled") && enabled != "static" {
        let fix = language.pick(
            "systemctl enable it (with --user for a unit of yours)",
            "включите его: systemctl enable (для своего юнита — с --user)",
        );
        return Finding::note("service", said, fix);
    }
    match service.lingers {
        Some(Lingers::No) => Finding::note(
            "service",
            said + language.pick("; it ends when you log out", "; завершается, когда вы выходите из системы"),
            "loginctl enable-linger",
        ),
        Some(Lingers::Yes) | None => Finding::good("service", said),
    }
}
