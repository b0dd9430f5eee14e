//! What the machine lets us have, and what surrounds us.

use mlx_tree::api::Language;

use super::super::Finding;
use super::super::facts::{Facts, Machine};

/// `mlx_lm.server` raises its own limit to this when it starts, and ends if it cannot.
const MLX_LM_NEEDS: u64 = 4096;
/// mlx-tree takes as many if it can: two for each connection, and some for the rest.
const WE_TAKE: u64 = 8192;
/// Above this share of the time, in percent, somebody waits for memory often.
const PRESSED: f64 = 10.0;

pub(super) fn machine(machine: &Machine, language: Language) -> Vec<Finding> {
    vec![open_files(machine, language), memory(machine, language), boot(machine, language)]
}

fn open_files(machine: &Machine, language: Language) -> Finding {
    let (soft, hard) = match &machine.open_files {
        Ok(limits) => *limits,
        Err(why) => return Finding::unknown("open files", why.clone()),
    };
    let said = language.pick(
        format!("{soft} at once, and it may be raised to {hard}"),
        format!("одновременно {soft}, можно поднять до {hard}"),
    );
    let fix = language.pick(
        "ulimit -Hn 8192 (as root), LimitNOFILE=8192 in a unit, or `sudo launchctl limit maxfiles 8192 unlimited`",
        "ulimit -Hn 8192 (от root), LimitNOFILE=8192 в юните или `sudo launchctl limit maxfiles 8192 unlimited`",
    );
    match hard {
        ..MLX_LM_NEEDS => Finding::bad(
            "open files",
            said + language.pick(
                "; mlx_lm.server ends at its start with less than 4096",
                "; mlx_lm.server с менее чем 4096 сразу завершается",
            ),
            fix,
        ),
        MLX_LM_NEEDS..WE_TAKE => Finding::note("open files", said, fix),
        WE_TAKE.. => Finding::good("open files", said),
    }
}

fn memory(machine: &Machine, language: Language) -> Finding {
    let Some(memory) = machine.memory else {
        return Finding::unknown("memory", language.pick("the system does not say", "система не говорит"));
    };
    let mut said = language.size(memory.total);
    if let Some(available) = memory.available {
        let available = language.size(available);
        said += &language.pick(format!(", {available} available"), format!(", доступно {available}"));
    }
    if let Some(limit) = machine.limit {
        let limit = language.size(limit);
        said += &language.pick(format!(", limited to {limit}"), format!(", предел {limit}"));
    }
    if let Some(gpu) = machine.gpu_limit {
        let gpu = language.size(gpu);
        said += &language.pick(format!(", {gpu} for the GPU"), format!(", для GPU {gpu}"));
    }
    if let Some(swap) = memory.swap.filter(|swap| swap.total > 0) {
        let used = language.size(swap.total.saturating_sub(swap.free));
        said += &language.pick(format!(", {used} in swap"), format!(", в подкачке {used}"));
    }
    let pressed = machine.pressure.filter(|pressure| *pressure >= PRESSED);
    let low = memory.available.is_some_and(|available| available < memory.total / 20);
    match (pressed, low) {
        (Some(pressure), _) => Finding::note(
            "memory",
            language.pick(
                format!("{said}; in {pressure:.0} % of the last ten seconds somebody waited for memory"),
                format!("{said}; последние десять секунд {pressure:.0} % времени кто-то ждал памяти"),
            ),
            language.pick(
                "end what else uses memory: answers are slow, and the kernel may kill",
                "закройте лишнее: ответы медленные, и ядро может начать завершать процессы",
            ),
        ),
        (None, true) => Finding::note(
            "memory",
            said,
            language.pick("end what else uses memory", "закройте то, что занимает память"),
        ),
        (None, false) => Finding::good("memory", said),
    }
}

fn boot(machine: &Machine, language: Language) -> Finding {
    if machine.boot_id.is_empty() {
        return Finding::note(
            "boot id",
            language.pick(
                "the system does not say which boot this is: restart histories and orphans of earlier boots look like those of this one",
                "система не говорит, какая это загрузка: история перезапусков и осиротевшие серверы прошлых загрузок неотличимы от нынешних",
            ),
            language.pick("mount /proc", "смонтируйте /proc"),
        );
    }
    Finding::good("boot id", machine.boot_id.clone())
}

/// Proxies, and what only a Mac has.
pub(super) fn surroundings(facts: &Facts, language: Language) -> Vec<Finding> {
    let mut findings = vec![proxies(facts, language)];
    let Some(mac) = &facts.mac else { return findings };
    findings.push(match &mac.translated {
        Err(why) => Finding::unknown("rosetta", why.clone()),
        Ok(false) => Finding::good("rosetta", language.pick("not in the way", "не мешает")),
        Ok(true) => Finding::bad(
            "rosetta",
            language.pick(
                "mlx-tree runs through Rosetta, and so does what it starts",
                "mlx-tree работает через Rosetta, и всё, что он запускает, тоже",
            ),
            language.pick("take the build for Apple silicon", "возьмите сборку для Apple silicon"),
        ),
    });
    findings.push(match &mac.low_power {
        Err(why) => Finding::unknown("low power", why.clone()),
        Ok(false) => Finding::good("low power", language.pick("off", "выключен")),
        Ok(true) => Finding::note(
            "low power",
            language.pick("Low Power Mode is on: answers are slow", "включён режим энергосбережения: ответы медленные"),
            language.pick(
                "System Settings › Battery, or `sudo pmset -a lowpowermode 0`",
                "Системные настройки › Аккумулятор или `sudo pmset -a lowpowermode 0`",
            ),
        ),
    });
    findings
}

fn proxies(facts: &Facts, language: Language) -> Finding {
    let names = facts.proxies.join(", ");
    match (facts.proxies.is_empty(), facts.loopback_is_direct) {
        (true, _) => Finding::good("proxies", language.pick("none", "нет")),
        (false, true) => Finding::good(
            "proxies",
            language.pick(format!("{names}; loopback is an exception"), format!("{names}; loopback — исключение")),
        ),
        (false, false) => Finding::note(
            "proxies",
            language.pick(
                format!("{names}: mlx-tree goes round them, but clients on this machine may ask a proxy for 127.0.0.1"),
                format!("{names}: mlx-tree ходит мимо, но клиенты на этой машине могут искать 127.0.0.1 через прокси"),
            ),
            "export NO_PROXY=127.0.0.1,localhost,::1",
        ),
    }
}
