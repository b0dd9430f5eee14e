//! What a person is told about the service.

use mlx_tree::api::Language;
use mlx_tree::service::{Activity, AtBoot, Found, Installed, Manager, Running, Scope, State, Written, runs};

use crate::cli::settings::Loaded;

/// Who runs it for whom.
pub(super) fn whose(manager: Manager, scope: Scope, language: Language) -> String {
    let whose = match scope {
        Scope::User => language.pick("of the user", "пользователя"),
        Scope::System => language.pick("of the machine", "всей машины"),
    };
    format!("{manager}, {whose}")
}

/// What became of its file.
pub(super) fn written(installed: &Installed, language: Language) -> String {
    let path = installed.path.display();
    let restarted = match installed.ran {
        Running::ByAnotherText => language.pick("; the service is restarted with it", "; служба перезапускается с ним"),
        Running::No | Running::AsItIs => "",
    };
    let written = match &installed.written {
        Written::New => language.pick("new", "создан").to_owned(),
        Written::Unchanged => language.pick("as it was; nothing to change", "без изменений").to_owned(),
        Written::Updated => language.pick("brought up to date", "обновлён").to_owned(),
        Written::InPlaceOf(aside) => {
            let aside = aside.display();
            language.pick(format!("new; what was there is now {aside}"), format!("создан; прежний файл теперь {aside}"))
        }
    };
    format!("{path}\n{written}{restarted}")
}

/// What is at the place of its file.
pub(super) fn found(state: &State, manager: Manager, program: &str, language: Language) -> String {
    let path = state.path.display();
    let found = match &state.found {
        Found::Nothing => language.pick(
            "is not there: `mlx-tree service install` installs it",
            "отсутствует: службу установит `mlx-tree service install`",
        ),
        Found::Foreign => language.pick("was not written by mlx-tree", "написан не mlx-tree"),
        Found::Ours(text) if runs(text, manager, program) => {
            language.pick("runs this mlx-tree", "запускает этот mlx-tree")
        }
        Found::Ours(_) => language.pick(
            "runs an mlx-tree at another place than this one; `mlx-tree service install` makes it run this one",
            "запускает mlx-tree из другого места; `mlx-tree service install` переведёт её на этот",
        ),
    };
    format!("{path}\n{found}")
}

/// How it is.
pub(super) fn activity(activity: &Activity, language: Language) -> String {
    let of = |pid: &Option<u32>, says: &Option<String>| {
        let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        let says = says.as_ref().map_or_else(String::new, |says| format!(": {says}"));
        format!("{pid}{says}")
    };
    match activity {
        Activity::Unknown => language.pick("not installed", "не установлена").to_owned(),
        Activity::Down => language.pick("down", "остановлена").to_owned(),
        Activity::Starting { pid, says } => language.pick("starting", "запускается").to_owned() + &of(pid, says),
        Activity::Up { pid, says } => language.pick("up", "работает").to_owned() + &of(pid, says),
        Activity::Stopping => language.pick("stopping", "останавливается").to_owned(),
        Activity::Failed { why } => language.pick(format!("failed: {why}"), format!("сбой: {why}")),
    }
}

/// Whether it is started by itself.
pub(super) fn at_boot(state: &State, scope: Scope, language: Language) -> &'static str {
    match (state.at_boot, scope, state.lingers) {
        (AtBoot::Yes, Scope::System, _) | (AtBoot::Yes, Scope::User, Some(true)) => {
            language.pick("with the machine", "вместе с машиной")
        }
        (AtBoot::Yes, Scope::User, Some(false) | None) => {
            language.pick("when its user logs in", "при входе пользователя в систему")
        }
        (AtBoot::No, ..) => language.pick("not by itself", "не сама"),
        (AtBoot::Unclear, ..) => language.pick("unclear", "неясно"),
    }
}

/// What its owner should know.
pub(super) fn notes(state: &State, loaded: &Loaded, program: &str, language: Language) -> Vec<String> {
    let mut notes = Vec::new();
    if state.lingers == Some(false) {
        notes.push(
            language
                .pick(
                    "it ends when you log out; `loginctl enable-linger` has it run from boot on, without a login",
                    "она остановится, когда вы выйдете; с `loginctl enable-linger` она работает с загрузки и без входа",
                )
                .to_owned(),
        );
    }
    let left: Vec<_> = loaded.environment.not_of_a_service().collect();
    if !left.is_empty() {
        let left = left.join(", ");
        notes.push(language.pick(
            format!("the service will not have {left}, which is set here: put it into a configuration file (--config)"),
            format!("у службы не будет {left} из этого окружения: запишите это в файл конфигурации (--config)"),
        ));
    }
    if program.contains("/target/debug/") || program.contains("/target/release/") {
        notes.push(language.pick(
            format!("{program} goes with the build directory: `cargo install --path crates/mlx-tree` gives it a place"),
            format!(
                "{program} исчезнет вместе с каталогом сборки: `cargo install --path crates/mlx-tree` даст ему место"
            ),
        ));
    }
    notes
}
