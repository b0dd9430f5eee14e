//! The states that a reader can be shown, each a closed set.

use std::fmt;

use mlx_tree_language::Language;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands in JSON, logs and on screens.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// The one word for the supervised server: the `state` key of the status document.
    ServerState {
        /// Its process runs or is being launched, and has not answered a canary yet.
        Starting = "starting",
        /// It serves.
        Running = "running",
        /// It is down and will be started again by itself.
        Restarting = "restarting",
        /// It is down and the breaker is open: no start before the breaker's time is up.
        Suspended = "suspended",
        /// It is being ended.
        Stopping = "stopping",
        /// It is down because somebody asked for that.
        Stopped = "stopped",
        /// It is down and the tree has given up.
        Failed = "failed",
    }
}

words! {
    /// The same, told apart as finely as mlx-tree knows it.
    Phase {
        /// The process is being launched.
        Starting = "starting",
        /// The process runs; its model is loading and no canary has been answered yet.
        Loading = "loading",
        /// Ready, and idle or answering its health checks.
        Ready = "ready",
        /// Ready, slow to answer health checks, and making progress all the same.
        Busy = "busy",
        /// Ready by its own word, but a stall or missed checks put that in doubt.
        Suspect = "suspect",
        /// Ready, gets nothing new, and ends what it works on: a restart or a stop is planned, or another server waits for its
        /// memory.
        Draining = "draining",
        /// The process is being ended.
        Stopping = "stopping",
        /// Down, waiting for its backoff to pass.
        Backoff = "backoff",
        /// Down, held by an open breaker.
        Suspended = "suspended",
        /// Down on request.
        Stopped = "stopped",
        /// Down for good.
        Failed = "failed",
    }
}

impl Phase {
    /// The word for people, of ten letters at most.
    #[must_use]
    pub const fn word(self, language: Language) -> &'static str {
        match (language, self) {
            (Language::En, _) => self.as_str(),
            (Language::Ru, Self::Starting) => "запуск",
            (Language::Ru, Self::Loading) => "загрузка",
            (Language::Ru, Self::Ready) => "работает",
            (Language::Ru, Self::Busy) => "занят",
            (Language::Ru, Self::Suspect) => "сомнение",
            (Language::Ru, Self::Draining) => "доделывает",
            (Language::Ru, Self::Stopping) => "остановка",
            (Language::Ru, Self::Backoff) => "перезапуск",
            (Language::Ru, Self::Suspended) => "удержан",
            (Language::Ru, Self::Stopped) => "остановлен",
            (Language::Ru, Self::Failed) => "отказ",
        }
    }

    /// The coarse state that this phase belongs to.
    #[must_use]
    pub const fn state(self) -> ServerState {
        match self {
            Self::Starting | Self::Loading => ServerState::Starting,
            Self::Ready | Self::Busy | Self::Suspect | Self::Draining => ServerState::Running,
            Self::Stopping => ServerState::Stopping,
            Self::Backoff => ServerState::Restarting,
            Self::Suspended => ServerState::Suspended,
            Self::Stopped => ServerState::Stopped,
            Self::Failed => ServerState::Failed,
        }
    }
}

words! {
    /// The breaker. Closed is the healthy state.
    BreakerState {
        /// Normal: restarts are allowed.
        Closed = "closed",
        /// Restarts are blocked.
        Open = "open",
        /// One start is allowed, as a trial.
        HalfOpen = "half_open",
    }
}

impl BreakerState {
    /// The word for people, of ten letters at most.
    #[must_use]
    pub const fn word(self, language: Language) -> &'static str {
        match (language, self) {
            (Language::En, Self::HalfOpen) => "half-open",
            (Language::En, Self::Closed | Self::Open) => self.as_str(),
            (Language::Ru, Self::Closed) => "замкнут",
            (Language::Ru, Self::Open) => "разомкнут",
            (Language::Ru, Self::HalfOpen) => "проба",
        }
    }
}

words! {
    /// What the supervisor says of one child.
    ChildState {
        /// Not running, and not about to be.
        Down = "down",
        /// Being started.
        Starting = "starting",
        /// Started, not yet ready.
        Up = "up",
        /// Started and ready.
        Ready = "ready",
        /// Being ended.
        Stopping = "stopping",
        /// Waiting for its backoff to pass.
        Waiting = "waiting",
        /// Held down until somebody resumes it.
        Suspended = "suspended",
    }
}

impl ChildState {
    /// The word for people, of ten letters at most.
    #[must_use]
    pub const fn word(self, language: Language) -> &'static str {
        match (language, self) {
            (Language::En, _) => self.as_str(),
            (Language::Ru, Self::Down) => "не запущен",
            (Language::Ru, Self::Starting) => "запуск",
            (Language::Ru, Self::Up) => "запущен",
            (Language::Ru, Self::Ready) => "работает",
            (Language::Ru, Self::Stopping) => "остановка",
            (Language::Ru, Self::Waiting) => "ожидание",
            (Language::Ru, Self::Suspended) => "удержан",
        }
    }
}

words! {
    /// Whether the fallback can be asked.
    FallbackState {
        /// Nobody has looked yet.
        Unknown = "unknown",
        /// It answers.
        Ready = "ready",
        /// It does not, or must not be asked.
        Unavailable = "unavailable",
    }
}
