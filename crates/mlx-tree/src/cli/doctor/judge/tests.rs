//! Illnesses made up one by one: each is found, and by its own finding only.

use std::net::SocketAddr;

use mlx_tree::process::machine::{Memory, Swap};
use mlx_tree::process::port::{Holder, PortState};

use super::super::facts::{
    Alive, Damage, Fallback, Files, Found, Known, Lingers, Mac, Machine, Model, Ours, Port, Program, Pull, Python,
    Running, Server, Service,
};
use super::super::{Mark, text};
use super::*;

const GIB: u64 = 1 << 30;

fn address() -> SocketAddr {
    ([127, 0, 0, 1], 8080).into()
}

/// A machine on which nothing is wrong.
fn healthy() -> Facts {
    let place = |key| Place {
        key,
        path: format!("/home/ada/{key}").into(),
        seen: Ok(Seen::Directory { owner: Owner::Us, mode: 0o700 }),
        free: Ok(50 * GIB),
    };
    let there = Found::There {
        path: "/usr/bin/python3".into(),
        version: "3.12.1".to_owned(),
        module_version: "0.32.2".to_owned(),
        mlx: Ok(("0.32.4".to_owned(), "arm64".to_owned())),
    };
    let running = Running::Answers { pid: 7, version: env!("CARGO_PKG_VERSION").to_owned(), degraded: Vec::new() };
    let memory = Memory { total: 16 * GIB, available: Some(9 * GIB), swap: Some(Swap { total: GIB, free: GIB }) };
    Facts {
        places: vec![place("state_dir"), place("data_dir")],
        servers: vec![Server {
            name: "server".to_owned(),
            python: Some(Python { module: "mlx_lm", found: there }),
            model: Model::Directory(Files { path: "/models/m".into(), weights: 4 * GIB, ..Files::default() }),
            start_offline: false,
        }],
        ports: vec![Port {
            key: "gateway.listen".to_owned(),
            address: address(),
            state: Ok(PortState::Free),
            ours: Ours::No,
        }],
        machine: Machine {
            open_files: Ok((1024, 65536)),
            memory: Some(memory),
            limit: None,
            pressure: Some(0.0),
            gpu_limit: None,
            boot_id: "b".to_owned(),
        },
        running,
        others: Ok(Vec::new()),
        fallback: None,
        services: Ok(Vec::new()),
        proxies: Vec::new(),
        loopback_is_direct: false,
        mac: None,
    }
}

fn python(facts: &mut Facts, found: Found) {
    facts.servers[0].python = Some(Python { module: "mlx_lm", found });
}

fn version(module_version: &str, mlx: Known<(String, String)>) -> Found {
    let (path, version) = ("/p".into(), "3.12.1".to_owned());
    Found::There { path, version, module_version: module_version.to_owned(), mlx }
}

fn files(missing: &[&str], damaged: &[(&str, Damage)], weights: u64) -> Files {
    Files {
        path: "/models/m".into(),
        missing: missing.iter().map(|it| (*it).to_owned()).collect(),
        damaged: damaged.iter().map(|(file, damage)| ((*file).to_owned(), damage.clone())).collect(),
        weights,
    }
}

fn service(program_is: Program, enabled: Known<String>, lingers: Lingers) -> Known<Vec<Service>> {
    let (file, program) = ("/units/mlx-tree.service".into(), Some("/bin/mlx-tree".into()));
    Ok(vec![Service { file, program, program_is, enabled, lingers: Some(lingers) }])
}

fn fallback(models: Known<Vec<String>>) -> Option<Fallback> {
    Some(Fallback { address: address(), wanted: vec!["qwen3:8b".to_owned()], models, pull: Pull::Ollama })
}

/// What becomes of a healthy machine, the check that has to see it, how bad it is, and a word of what has to be said.
type Illness = (fn(&mut Facts), &'static str, Mark, &'static str);

const ILLNESSES: &[Illness] = &[
    (
        |it| it.places[0].seen = Ok(Seen::Directory { owner: Owner::Us, mode: 0o777 }),
        "state_dir",
        Mark::Bad,
        "chmod 700",
    ),
    (
        |it| it.places[0].seen = Ok(Seen::Directory { owner: Owner::User(9), mode: 0o700 }),
        "state_dir",
        Mark::Bad,
        "chown",
    ),
    (|it| it.places[1].seen = Ok(Seen::Link), "data_dir", Mark::Bad, "symbolic link"),
    (|it| it.places[1].seen = Ok(Seen::Other), "data_dir", Mark::Bad, "not a directory"),
    (|it| it.places[1].seen = Ok(Seen::CannotBeMade), "data_dir", Mark::Bad, "cannot be made"),
    (|it| it.places[1].seen = Err("hangs".to_owned()), "data_dir", Mark::Unknown, "hangs"),
    (|it| it.places[0].free = Ok(1 << 20), "state_dir", Mark::Bad, "1 MiB free"),
    (|it| it.places[0].free = Ok(500 << 20), "state_dir", Mark::Note, "make room"),
    (|it| it.places[0].free = Err("hangs".to_owned()), "state_dir", Mark::Unknown, "hangs"),
    (|it| python(it, Found::WouldBeMade), "python", Mark::Note, "mlx-tree setup"),
    (|it| python(it, Found::Unknown("late".to_owned())), "python", Mark::Unknown, "late"),
    (|it| python(it, Found::Failed { why: "no mlx_lm".to_owned(), help: None }), "python", Mark::Bad, "mlx-tree setup"),
    (|it| python(it, version("0.20.1", Ok(("1".into(), "arm64".into())))), "python", Mark::Note, "0.26 to 0.32"),
    (|it| python(it, version("0.33.0", Ok(("1".into(), "arm64".into())))), "python", Mark::Note, "not tried"),
    (|it| python(it, version("0.32.2", Err("no mlx".to_owned()))), "python", Mark::Unknown, "no mlx"),
    (|it| it.servers[0].model = Model::Wrong("no such".to_owned()), "model", Mark::Bad, "set server.model"),
    (|it| it.servers[0].model = Model::Unknown("late".to_owned()), "model", Mark::Unknown, "late"),
    (
        |it| it.servers[0].model = Model::Directory(files(&["a.safetensors"], &[], 1)),
        "model",
        Mark::Bad,
        "lacks a.safetensors",
    ),
    (
        |it| it.servers[0].model = Model::Directory(files(&[], &[("a", Damage::Empty)], 1)),
        "model",
        Mark::Bad,
        "a: it is empty",
    ),
    (
        |it| it.servers[0].model = Model::Directory(files(&[], &[("a", Damage::LfsPointer)], 1)),
        "model",
        Mark::Bad,
        "Git LFS",
    ),
    (
        |it| it.servers[0].model = Model::Directory(files(&[], &[("a", Damage::Size { has: GIB, wants: 2 * GIB })], 1)),
        "model",
        Mark::Bad,
        "cut short",
    ),
    (|it| it.servers[0].model = Model::Directory(files(&[], &[], 11 * GIB)), "model", Mark::Note, "tight"),
    (|it| it.servers[0].model = Model::Directory(files(&[], &[], 20 * GIB)), "model", Mark::Bad, "there is 16.0 GiB"),
    (|it| it.machine.gpu_limit = Some(4 * GIB), "model", Mark::Bad, "there is 4.0 GiB"),
    (
        |it| it.servers[0].model = Model::Hub { id: "a/b".to_owned(), cached: None },
        "model",
        Mark::Note,
        "hf download a/b",
    ),
    (
        |it| {
            it.servers[0].model = Model::Hub { id: "a/b".to_owned(), cached: None };
            it.servers[0].start_offline = true;
        },
        "model",
        Mark::Bad,
        "HF_HUB_OFFLINE",
    ),
    (
        |it| {
            let holders = vec![Holder { pid: 9, command: "nc -l".to_owned() }];
            it.ports[0].state = Ok(PortState::Held { holders });
        },
        "port",
        Mark::Bad,
        "pid 9 (nc -l)",
    ),
    (|it| it.ports[0].state = Ok(PortState::Held { holders: Vec::new() }), "port", Mark::Bad, "another user"),
    (|it| it.ports[0].state = Err("not ours".to_owned()), "port", Mark::Unknown, "not ours"),
    (|it| it.machine.open_files = Ok((256, 1024)), "open files", Mark::Bad, "LimitNOFILE"),
    (|it| it.machine.open_files = Ok((256, 5000)), "open files", Mark::Note, "raised to 5000"),
    (|it| it.machine.open_files = Err("no".to_owned()), "open files", Mark::Unknown, "no"),
    (|it| it.machine.pressure = Some(40.0), "memory", Mark::Note, "40 %"),
    (
        |it| it.machine.memory = Some(Memory { total: 16 * GIB, available: Some(GIB / 4), swap: None }),
        "memory",
        Mark::Note,
        "end what else",
    ),
    (|it| it.machine.boot_id = String::new(), "boot id", Mark::Note, "/proc"),
    (|it| it.running = Running::Silent { pid: 7, alive: Alive::Yes }, "instance", Mark::Bad, "does not answer"),
    (|it| it.running = Running::Silent { pid: 7, alive: Alive::No }, "instance", Mark::Note, "was killed"),
    (|it| it.running = Running::Unknown("odd".to_owned()), "instance", Mark::Unknown, "odd"),
    (
        |it| it.running = Running::Answers { pid: 7, version: "0.0.1".to_owned(), degraded: Vec::new() },
        "instance",
        Mark::Note,
        "restart it",
    ),
    (
        |it| {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            it.running = Running::Answers { pid: 7, version, degraded: vec!["a part".to_owned()] };
        },
        "instance",
        Mark::Note,
        "degraded: a part",
    ),
    (|it| it.others = Ok(vec![8, 9]), "others", Mark::Note, "pid 8, 9"),
    (|it| it.others = Err("no ps".to_owned()), "others", Mark::Unknown, "no ps"),
    (|it| it.fallback = fallback(Err("refused".to_owned())), "fallback", Mark::Bad, "ollama serve"),
    (|it| it.fallback = fallback(Ok(vec!["llama3:latest".to_owned()])), "fallback", Mark::Bad, "ollama pull qwen3:8b"),
    (|it| it.services = Err("no bus".to_owned()), "service", Mark::Unknown, "no bus"),
    (
        |it| it.services = service(Program::Gone, Ok("enabled".to_owned()), Lingers::Yes),
        "service",
        Mark::Bad,
        "is not there",
    ),
    (
        |it| it.services = service(Program::Another, Ok("enabled".to_owned()), Lingers::Yes),
        "service",
        Mark::Note,
        "another program",
    ),
    (
        |it| it.services = service(Program::ThisOne, Ok("disabled".to_owned()), Lingers::Yes),
        "service",
        Mark::Note,
        "systemctl enable",
    ),
    (
        |it| it.services = service(Program::ThisOne, Err("no bus".to_owned()), Lingers::Yes),
        "service",
        Mark::Unknown,
        "no bus",
    ),
    (
        |it| it.services = service(Program::ThisOne, Ok("enabled".to_owned()), Lingers::No),
        "service",
        Mark::Note,
        "enable-linger",
    ),
    (|it| it.proxies = vec!["HTTP_PROXY".to_owned()], "proxies", Mark::Note, "NO_PROXY=127.0.0.1"),
    (|it| it.mac = Some(Mac { translated: Ok(true), low_power: Ok(false) }), "rosetta", Mark::Bad, "Apple silicon"),
    (|it| it.mac = Some(Mac { translated: Ok(false), low_power: Ok(true) }), "low power", Mark::Note, "pmset"),
    (
        |it| it.mac = Some(Mac { translated: Ok(false), low_power: Err("late".to_owned()) }),
        "low power",
        Mark::Unknown,
        "late",
    ),
];

#[test]
fn every_illness_is_found_by_its_own_check_and_says_how_to_mend_it() {
    for (fall_ill, check, mark, words) in ILLNESSES {
        let mut facts = healthy();
        fall_ill(&mut facts);
        for language in [Language::En, Language::Ru] {
            let findings = judge(&facts, language);
            let ill: Vec<_> = findings.iter().filter(|finding| finding.mark != Mark::Good).collect();
            let said = text(&findings, language);
            assert_eq!(ill.len(), 1, "{check}, {words}:\n{said}");
            assert_eq!((ill[0].check, ill[0].mark), (*check, *mark), "{words}:\n{said}");
            let can_be_mended = matches!(mark, Mark::Bad | Mark::Note);
            assert_eq!(ill[0].fix.is_some(), can_be_mended, "{said}");
            if language == Language::En {
                assert!(said.contains(words), "{words}:\n{said}");
            }
        }
    }
}

#[test]
fn a_healthy_machine_has_nothing_to_mend() {
    let mut facts = healthy();
    facts.ports[0].ours = Ours::Yes;
    facts.ports[0].state = Ok(PortState::Held { holders: Vec::new() });
    facts.fallback = fallback(Ok(vec!["qwen3:8b".to_owned()]));
    facts.services = service(Program::ThisOne, Ok("enabled".to_owned()), Lingers::Yes);
    facts.proxies = vec!["HTTP_PROXY".to_owned()];
    facts.loopback_is_direct = true;
    facts.mac = Some(Mac { translated: Ok(false), low_power: Ok(false) });
    let findings = judge(&facts, Language::En);
    assert!(findings.iter().all(|finding| finding.mark == Mark::Good), "{}", text(&findings, Language::En));
    insta::assert_snapshot!(text(&findings, Language::En).replace(env!("CARGO_PKG_VERSION"), "VERSION"), @"
    ✓ configuration  it can be read
    ✓ state_dir      /home/ada/state_dir, 50.0 GiB free
    ✓ data_dir       /home/ada/data_dir, 50.0 GiB free
    ✓ python         server: /usr/bin/python3, Python 3.12.1, mlx_lm 0.32.2, mlx 0.32.4
    ✓ model          server: /models/m is complete, 4.0 GiB of weights; it will need about 4.8 GiB
    ✓ port           gateway.listen = 127.0.0.1:8080 is held by the mlx-tree that runs here
    ✓ open files     1024 at once, and it may be raised to 65536
    ✓ memory         16.0 GiB, 9.0 GiB available, 0 MiB in swap
    ✓ boot id        b
    ✓ instance       pid 7 runs and answers, VERSION
    ✓ fallback       127.0.0.1:8080 answers and has qwen3:8b
    ✓ service        /units/mlx-tree.service: enabled
    ✓ proxies        HTTP_PROXY; loopback is an exception
    ✓ rosetta        not in the way
    ✓ low power      off

    wrong: 0, worth knowing: 0, could not be looked at: 0
    ");
    let findings = judge(&facts, Language::Ru);
    insta::assert_snapshot!(text(&findings, Language::Ru).replace(env!("CARGO_PKG_VERSION"), "VERSION"), @"
    ✓ configuration  читается
    ✓ state_dir      /home/ada/state_dir, свободно 50.0 ГиБ
    ✓ data_dir       /home/ada/data_dir, свободно 50.0 ГиБ
    ✓ python         server: /usr/bin/python3, Python 3.12.1, mlx_lm 0.32.2, mlx 0.32.4
    ✓ model          server: /models/m целая, весов 4.0 ГиБ; понадобится около 4.8 ГиБ
    ✓ port           gateway.listen = 127.0.0.1:8080 занят здешним mlx-tree
    ✓ open files     одновременно 1024, можно поднять до 65536
    ✓ memory         16.0 ГиБ, доступно 9.0 ГиБ, в подкачке 0 МиБ
    ✓ boot id        b
    ✓ instance       процесс 7 работает и отвечает, VERSION
    ✓ fallback       127.0.0.1:8080 отвечает, модели на месте: qwen3:8b
    ✓ service        /units/mlx-tree.service: enabled
    ✓ proxies        HTTP_PROXY; loopback — исключение
    ✓ rosetta        не мешает
    ✓ low power      выключен

    неисправно: 0, стоит знать: 0, не удалось проверить: 0
    ");
}
