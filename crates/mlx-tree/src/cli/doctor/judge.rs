//! From facts to findings; pure.

mod machine;
mod running;
mod server;
#[cfg(test)]
mod tests;

use mlx_tree::api::Language;

use super::Finding;
use super::facts::{Facts, Owner, Place, Seen};

/// Less than this is too little to work with, in bytes.
const LITTLE: u64 = 64 << 20;
/// Less than this is worth knowing.
const SHORT: u64 = 1 << 30;

/// All findings, in the order in which things are needed.
pub(super) fn judge(facts: &Facts, language: Language) -> Vec<Finding> {
    let mut findings = vec![Finding::good("configuration", language.pick("it can be read", "читается"))];
    findings.extend(facts.places.iter().map(|place| directory(place, language)));
    for server in &facts.servers {
        findings.extend(server::python(server, language));
        findings.extend(server::model(server, &facts.machine, language));
    }
    findings.extend(facts.ports.iter().map(|port| running::port(port, language)));
    findings.extend(machine::machine(&facts.machine, language));
    findings.push(running::running(&facts.running, language));
    findings.extend(running::others(&facts.others, language));
    findings.extend(facts.fallback.iter().map(|fallback| running::fallback(fallback, language)));
    findings.extend(running::services(&facts.services, language));
    findings.extend(machine::surroundings(facts, language));
    findings
}

fn directory(place: &Place, language: Language) -> Finding {
    let (key, path) = (place.key, place.path.display());
    match &place.seen {
        Err(why) => return Finding::unknown(key, format!("{path}: {why}")),
        Ok(Seen::Link) => {
            return Finding::bad(
                key,
                language.pick(format!("{path} is a symbolic link"), format!("{path} — символическая ссылка")),
                language.pick("name the directory itself", "укажите сам каталог"),
            );
        }
        Ok(Seen::Other) => {
            return Finding::bad(
                key,
                language.pick(format!("{path} is not a directory"), format!("{path} — не каталог")),
                language.pick("remove it, or name another place", "уберите его или укажите другое место"),
            );
        }
        Ok(Seen::CannotBeMade) => {
            return Finding::bad(
                key,
                language.pick(
                    format!("{path} is not there and cannot be made"),
                    format!("{path} нет, и создать его нельзя"),
                ),
                language.pick(
                    "make it, or name a directory of yours",
                    "создайте его или укажите каталог, который принадлежит вам",
                ),
            );
        }
        Ok(Seen::Directory { owner: Owner::User(other), .. }) => {
            return Finding::bad(
                key,
                language.pick(
                    format!("{path} belongs to user {other}"),
                    format!("{path} принадлежит пользователю {other}"),
                ),
                format!("sudo chown -R \"$USER\" {path}"),
            );
        }
        Ok(Seen::Directory { owner: Owner::Us, mode }) if mode & 0o022 != 0 => {
            return Finding::bad(
                key,
                language.pick(
                    format!("others may write to {path} (mode {mode:04o})"),
                    format!("в {path} могут писать другие (права {mode:04o})"),
                ),
                format!("chmod 700 {path}"),
            );
        }
        Ok(Seen::Absent | Seen::Directory { owner: Owner::Us, .. }) => {}
    }
    let free = match &place.free {
        Ok(free) => *free,
        Err(why) => return Finding::unknown(key, format!("{path}: {why}")),
    };
    let left = language.size(free);
    let said = language.pick(format!("{path}, {left} free"), format!("{path}, свободно {left}"));
    let fix = language.pick("make room on that disk", "освободите место на этом диске");
    match free {
        ..LITTLE => Finding::bad(key, said, fix),
        LITTLE..SHORT => Finding::note(key, said, fix),
        SHORT.. => Finding::good(key, said),
    }
}
