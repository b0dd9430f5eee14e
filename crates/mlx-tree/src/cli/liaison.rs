//! What the service manager is told while the program runs, where there is one that wants to know.
//!
//! ```text
//! preparing   STATUS, EXTEND_TIMEOUT_USEC   as long as an environment is made or a model fetched
//! answering   READY                         the control plane and the gateway answer; requests wait for the server
//! then        STATUS at each change of phase; WATCHDOG for each round trip through the tree
//! ending      STOPPING, EXTEND_TIMEOUT_USEC
//! ```

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use mlx_tree::api::{Language, Phase, ServerState, Status};
use mlx_tree::control::Operator;
use mlx_tree::service::{Notice, Notifier, feed};
use mlx_tree::settings::{Environment, ShutdownSettings};
use mlx_tree::workers::bus::Bus;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;

/// While something is prepared, so much more time is asked for, …
const MORE: Duration = Duration::from_secs(90);
/// … so often.
const OFTEN: Duration = Duration::from_secs(15);
/// Of several changes at once only the last one matters.
const SETTLE: Duration = Duration::from_millis(100);
/// What an end takes beside `shutdown.drain` and `shutdown.grace`.
const MARGIN: Duration = Duration::from_secs(10);

/// The line to the service manager.
#[derive(Clone)]
pub(crate) struct Liaison {
    notifier: Option<Arc<Notifier>>,
    watchdog: Option<Duration>,
    language: Language,
}

// === impl Liaison ===

impl Liaison {
    /// The line that the environment names. None is no error, and one that cannot be used is a warning.
    pub(crate) fn of(environment: &Environment, language: Language) -> Self {
        let notifier = environment.notify_socket().map(Notifier::open).and_then(|opened| match opened {
            Ok(notifier) => Some(Arc::new(notifier)),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the service manager is told nothing");
                None
            }
        });
        Self { notifier, watchdog: environment.watchdog(std::process::id()), language }
    }

    /// Says that something is prepared, and asks for time, until it is dropped.
    pub(crate) async fn preparing(&self) -> Infallible {
        let Some(notifier) = &self.notifier else { return pending().await };
        notifier.status(self.language.pick("Preparing Python and the model", "Подготовка Python и модели"));
        loop {
            let _ = notifier.send(&[Notice::ExtendTimeout(MORE)]);
            sleep(OFTEN).await;
        }
    }

    /// Says that it answers, and from then on how it is and that it lives.
    pub(crate) fn ready(&self, plane: &impl Operator, bus: &Bus) {
        let Some(notifier) = &self.notifier else { return };
        if let Err(error) = notifier.send(&[Notice::Ready]) {
            tracing::warn!(%error, "the service manager does not hear that this is ready");
        }
        tokio::spawn(tell(Arc::clone(notifier), plane.clone(), bus.clone(), self.language));
        if let Some(period) = self.watchdog {
            let (notifier, plane, language) = (Arc::clone(notifier), plane.clone(), self.language);
            tokio::spawn(async move {
                feed(&notifier, period, || plane.alive(), |missed| unanswered(missed, language)).await
            });
        }
    }

    /// Says that the end has begun, and how long it may take.
    pub(crate) fn stopping(&self, shutdown: ShutdownSettings) {
        let Some(notifier) = &self.notifier else { return };
        let longest = shutdown.drain + shutdown.grace + MARGIN;
        let _ = notifier.send(&[
            Notice::Stopping,
            Notice::ExtendTimeout(longest),
            Notice::Status(self.language.pick("Stopping", "Останавливается")),
        ]);
    }
}

/// Says how it is whenever something has happened.
async fn tell(notifier: Arc<Notifier>, plane: impl Operator, bus: Bus, language: Language) {
    let mut events = bus.subscribe();
    loop {
        notifier.status(&words(&plane.status().await, language));
        match events.recv().await {
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
        sleep(SETTLE).await;
        events = events.resubscribe();
    }
}

fn unanswered(missed: u32, language: Language) -> String {
    language.pick(
        format!("The supervision tree does not answer ({missed} times in a row): the watchdog is not fed"),
        format!("Дерево супервизора не отвечает ({missed} раз подряд): watchdog не получает сигнала"),
    )
}

/// The status in one line. No number in it grows old while nothing happens.
fn words(status: &Status, language: Language) -> String {
    let mut text = match status.phase {
        Phase::Starting => language.pick("The server is being started", "Сервер запускается"),
        Phase::Loading => language.pick("The model is loading", "Модель загружается"),
        Phase::Ready => language.pick("Serving", "Работает"),
        Phase::Busy => {
            language.pick("Serving, and slow to answer checks", "Работает, но медленно отвечает на проверки")
        }
        Phase::Suspect => language.pick("Perhaps hanging", "Возможно, завис"),
        Phase::Draining => language.pick("Serving what it has, and nothing new", "Завершает начатое, нового не берёт"),
        Phase::Stopping => language.pick("The server is being stopped", "Сервер останавливается"),
        Phase::Backoff => language.pick("Down, and started again after a pause", "Упал, после паузы будет перезапущен"),
        Phase::Suspended => {
            language.pick("Down, held back by the breaker", "Упал, перезапуск удерживает предохранитель")
        }
        Phase::Stopped => language.pick("Stopped on request", "Остановлен по просьбе оператора"),
        Phase::Failed => language.pick("Down for good", "Упал окончательно"),
    }
    .to_owned();
    let mut add = |more: String| {
        text.push_str(" · ");
        text.push_str(&more);
    };
    if let Some(pid) = status.process_pid {
        add(format!("pid {pid}"));
    }
    if status.restart_count > 0 {
        let count = status.restart_count;
        add(language.pick(format!("restarts: {count}"), format!("перезапусков: {count}")));
    }
    if !status.servers.is_empty() {
        let up = status.servers.iter().filter(|server| server.state == ServerState::Running).count();
        let all = status.servers.len();
        add(language.pick(format!("{up} of {all} servers are up"), format!("работают {up} из {all} серверов")));
    }
    if let Some(degraded) = status.degraded.first() {
        add(degraded.clone());
    }
    if let Some(reason) = &status.reason {
        add(reason.clone());
    }
    text
}
