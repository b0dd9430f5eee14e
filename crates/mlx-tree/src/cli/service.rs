//! `mlx-tree service`: mlx-tree as a service of the system.

mod definition;
mod words;

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mlx_tree::api::Language;
use mlx_tree::service::{
    Activity, Foreign, Manager, Place, Scope, ServiceError, State, ToolError, Uninstalled, install, state, text,
    uninstall,
};
use mlx_tree::settings::{Environment, Platform};

use self::definition::{definition, own_path};
use super::arguments::{ManagerWord, ServiceCommand, SettingsArguments, Which};
use super::report::{Code, Report};
use super::settings::{self, Loaded};
use super::{banner, print};

/// So long `install` waits to see what becomes of it. A model may take longer, and loads without being watched.
const WATCHED: Duration = Duration::from_secs(20);

/// `mlx-tree service …`.
pub(crate) fn run(command: ServiceCommand, arguments: &SettingsArguments) -> Result<Code, Report> {
    match command {
        ServiceCommand::Install { which, replace } => {
            let loaded = settings::load(arguments)?;
            let seat = Seat::new(which, &loaded.environment, loaded.language())?;
            seat.install(&loaded, arguments, if replace { Foreign::PutAside } else { Foreign::Stays })
        }
        ServiceCommand::Print { which } => {
            let loaded = settings::load(arguments)?;
            let seat = Seat::new(which, &loaded.environment, loaded.language())?;
            let definition = definition(&seat.which, seat.place.manager, &loaded, arguments)?;
            let text = text(&definition, seat.place.manager).map_err(|error| Report::new(Code::Config, error))?;
            print(&text);
            Ok(Code::Ok)
        }
        // What is wrong with the configuration must not keep anybody from looking, or from taking it away.
        ServiceCommand::Uninstall { which } => Seat::without_settings(which, arguments)?.uninstall(),
        ServiceCommand::Status { which } => Seat::without_settings(which, arguments)?.status(),
    }
}

/// A service at its place.
struct Seat {
    which: Which,
    place: Place,
    /// Whose it is, if it is a user's.
    user: Option<String>,
    language: Language,
}

// === impl Seat ===

impl Seat {
    fn without_settings(which: Which, arguments: &SettingsArguments) -> Result<Self, Report> {
        match settings::load(arguments) {
            Ok(loaded) => Self::new(which, &loaded.environment, loaded.language()),
            Err(_) => Self::new(which, &Environment::capture(), settings::spoken()),
        }
    }

    fn new(which: Which, environment: &Environment, language: Language) -> Result<Self, Report> {
        let manager = match (which.manager, environment.platform()) {
            (Some(ManagerWord::Systemd), _) | (None, Platform::Linux) => Manager::Systemd,
            (Some(ManagerWord::Launchd), _) | (None, Platform::MacOs) => Manager::Launchd,
        };
        let homeless = || Report::new(Code::Config, "there is no home directory").help("set HOME");
        let directory = match (manager, which.scope()) {
            (Manager::Systemd, Scope::System) => PathBuf::from("/etc/systemd/system"),
            (Manager::Systemd, Scope::User) => environment.user_units().ok_or_else(homeless)?,
            (Manager::Launchd, Scope::User) => environment.home().ok_or_else(homeless)?.join("Library/LaunchAgents"),
            (Manager::Launchd, Scope::System) => {
                let help = language.pick(
                    "install it for the user whose Mac it is; docs/SERVICE.md says how it starts without a login",
                    "установите её для пользователя этого Mac; как запускать её без входа в систему, сказано в docs/SERVICE.md",
                );
                return Err(
                    Report::new(Code::Usage, "launchd runs mlx-tree for a user only, not as --system").help(help)
                );
            }
        };
        let user = environment.user().map(str::to_owned);
        Ok(Self { which, place: Place { manager, directory }, user, language })
    }

    fn install(&self, loaded: &Loaded, arguments: &SettingsArguments, foreign: Foreign) -> Result<Code, Report> {
        let definition = definition(&self.which, self.place.manager, loaded, arguments)?;
        let installed = install(&definition, &self.place, foreign).map_err(|error| self.refused(error))?;
        let state = self.settled()?;
        let mut text = banner::row("file", &words::written(&installed, self.language));
        text.push_str(&banner::row("service", &words::activity(&state.activity, self.language)));
        for note in words::notes(&state, loaded, &definition.program, self.language) {
            text.push_str(&banner::row("note", &note));
        }
        print(&text);
        Ok(code(&state.activity))
    }

    fn uninstall(&self) -> Result<Code, Report> {
        let done = uninstall(&self.which.name, self.which.scope(), &self.place).map_err(|error| self.refused(error))?;
        let text = match &done {
            Uninstalled::Gone(path) => {
                let path = path.display();
                self.language.pick(
                    format!("the service has ended; {path} is gone, state and models are left"),
                    format!("служба остановлена; {path} удалён, состояние и модели остались"),
                )
            }
            Uninstalled::WasNotThere(path) => {
                let path = path.display();
                self.language.pick(
                    format!("there is no such service, and nothing to do (no {path})"),
                    format!("такой службы нет, делать нечего ({path} не существует)"),
                )
            }
        };
        print(&(text + "\n"));
        Ok(Code::Ok)
    }

    fn status(&self) -> Result<Code, Report> {
        let (name, scope) = (&self.which.name, self.which.scope());
        let state = state(name, scope, &self.place, self.user.as_deref()).map_err(|error| self.refused(error))?;
        let whose = words::whose(self.place.manager, scope, self.language);
        let mut text = banner::row("service", &format!("{name} · {whose}"));
        let program = own_path()?;
        text.push_str(&banner::row("file", &words::found(&state, self.place.manager, &program, self.language)));
        text.push_str(&banner::row("state", &words::activity(&state.activity, self.language)));
        text.push_str(&banner::row("start", words::at_boot(&state, scope, self.language)));
        print(&text);
        Ok(code(&state.activity))
    }

    /// How it is once that is clear, or after a while.
    fn settled(&self) -> Result<State, Report> {
        let start = Instant::now();
        loop {
            let asked = state(&self.which.name, self.which.scope(), &self.place, self.user.as_deref());
            let state = asked.map_err(|error| self.refused(error))?;
            match state.activity {
                Activity::Up { .. } | Activity::Failed { .. } => return Ok(state),
                Activity::Unknown | Activity::Down | Activity::Starting { .. } | Activity::Stopping => {
                    if start.elapsed() > WATCHED {
                        return Ok(state);
                    }
                    sleep(Duration::from_millis(200));
                }
            }
        }
    }

    fn refused(&self, error: ServiceError) -> Report {
        let help = match (&error, self.place.manager, self.which.scope()) {
            (ServiceError::Foreign(_), ..) => self.language.pick(
                "choose another --name, or have it put aside with --replace",
                "выберите другое имя (--name) или отложите чужой файл в сторону (--replace)",
            ),
            (ServiceError::NoAccount(_), ..) => self.language.pick(
                "useradd --system --home-dir /var/lib/mlx-tree mlx-tree makes one; --run-as takes another",
                "учётную запись создаст useradd --system --home-dir /var/lib/mlx-tree mlx-tree; другую укажет --run-as",
            ),
            (ServiceError::File(_), _, Scope::System) => self.language.pick(
                "a service of the machine is root's to install: sudo mlx-tree service install --system",
                "службу всей машины ставит root: sudo mlx-tree service install --system",
            ),
            (ServiceError::Tool(ToolError::Absent { .. }), ..) => self.language.pick(
                "mlx-tree service print shows the file, for another machine or another service manager",
                "mlx-tree service print покажет файл для другой машины или другого менеджера служб",
            ),
            (ServiceError::Tool(ToolError::Failed { said, .. }), Manager::Systemd, scope) => match scope {
                Scope::User if said.contains("bus") => self.language.pick(
                    "the systemd of a user is there for one who has logged in (ssh, a terminal), not for su and sudo",
                    "systemd пользователя доступен тому, кто вошёл в систему (ssh, терминал), но не через su и sudo",
                ),
                Scope::User => self.language.pick(
                    "nothing was changed; `systemctl --user status` says how systemd is",
                    "ничего не изменено; о состоянии systemd скажет `systemctl --user status`",
                ),
                Scope::System => self.language.pick(
                    "a service of the machine is root's: put sudo before it; `systemctl status` says how systemd is",
                    "службой всей машины управляет root: добавьте sudo; о состоянии systemd скажет `systemctl status`",
                ),
            },
            (ServiceError::Tool(ToolError::Failed { .. }), Manager::Launchd, _) => self.language.pick(
                "launchd runs agents for one who has logged in at the screen; over ssh alone there is no gui domain",
                "launchd запускает агентов того, кто вошёл в систему за экраном; по одному ssh домена gui нет",
            ),
            (ServiceError::Definition(_) | ServiceError::File(_), ..) => {
                self.language.pick("nothing was changed", "ничего не изменено")
            }
        };
        Report::new(Code::Failed, error).help(help)
    }
}

// === impl Which ===

impl Which {
    const fn scope(&self) -> Scope {
        if self.system { Scope::System } else { Scope::User }
    }
}

/// A service that is not up makes a command fail, so that a script can ask.
const fn code(activity: &Activity) -> Code {
    match activity {
        Activity::Up { .. } | Activity::Starting { .. } => Code::Ok,
        Activity::Unknown | Activity::Down | Activity::Stopping | Activity::Failed { .. } => Code::Failed,
    }
}
