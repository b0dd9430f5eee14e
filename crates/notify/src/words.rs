//! What people read, in English and in Russian.

use mlx_tree_api::{Kind, Language, Level};

use crate::Standing;

/// A few words for what has happened.
pub(crate) fn title(kind: &Kind, language: Language) -> &'static str {
    match kind.name() {
        "breaker.opened" => language.pick(
            "the server keeps failing, restarts are held back",
            "сервер падает раз за разом, перезапуски приостановлены",
        ),
        "breaker.closed" => language.pick("restarts are allowed again", "перезапуски снова разрешены"),
        "config.rejected" => {
            language.pick("the changed configuration cannot be used", "изменённая конфигурация непригодна")
        }
        "config.reloaded" => language.pick("the configuration is in order", "конфигурация в порядке"),
        "request.quarantined" => {
            language.pick("a request took the server down twice", "один и тот же запрос дважды уронил сервер")
        }
        "server.memory_high" => {
            language.pick("the server uses too much memory", "сервер занимает слишком много памяти")
        }
        "server.exited" => language.pick("the server went down", "сервер упал"),
        "server.ready" => language.pick("the server serves again", "сервер снова работает"),
        "tree.stopped" => language.pick("mlx-tree has ended", "mlx-tree завершил работу"),
        _ => match kind.level() {
            Level::Error => language.pick("something needs you", "требуется вмешательство"),
            Level::Warn => {
                language.pick("something went wrong and is dealt with", "произошёл сбой, mlx-tree им занимается")
            }
            Level::Info | Level::Debug => language.pick("for your information", "к сведению"),
        },
    }
}

/// What one can do about it.
pub(crate) fn help(kind: &Kind, standing: Standing, language: Language) -> Option<&'static str> {
    if standing != Standing::Raised {
        return None;
    }
    match kind.name() {
        "breaker.opened" => Some(language.pick(
            "`mlx-tree why` says what it died of; `mlx-tree reset` tries again at once",
            "`mlx-tree why` покажет причину; `mlx-tree reset` запустит сервер сразу",
        )),
        "config.rejected" => Some(language.pick(
            "the old one holds until `mlx-tree check` is content",
            "пока `mlx-tree check` находит ошибки, действует прежняя",
        )),
        "request.quarantined" => Some(language.pick(
            "look at what its client sends; others are served",
            "проверьте, что отправляет этот клиент; остальные запросы обслуживаются",
        )),
        "server.memory_high" => Some(language.pick(
            "a smaller model or fewer requests at a time (gateway.max_inflight) need less",
            "меньше памяти нужно модели поменьше или меньшему числу одновременных запросов (gateway.max_inflight)",
        )),
        "tree.stopped" => Some(language.pick(
            "nothing restarts the server now; `mlx-tree` starts it again",
            "сервер больше никто не перезапустит; запустите `mlx-tree` снова",
        )),
        _ => None,
    }
}

/// The title for a server that goes down again and again.
pub(crate) fn repeated(language: Language) -> &'static str {
    language.pick("the server goes down again and again", "сервер падает снова и снова")
}

pub(crate) fn repeated_text(exits: usize, minutes: u64, language: Language) -> String {
    language.pick(
        format!("It went down {exits} times in {minutes} minutes, and was brought back."),
        format!("За последние {minutes} мин он упал несколько раз ({exits}) и был перезапущен."),
    )
}

/// Where to look.
pub(crate) fn why(language: Language) -> &'static str {
    language.pick("`mlx-tree why` says what it died of", "`mlx-tree why` покажет причину")
}

pub(crate) fn and_more(more: u32, language: Language) -> String {
    language.pick(format!("… and {more} more"), format!("… и ещё {more}"))
}

pub(crate) fn times(count: u32, language: Language) -> String {
    language.pick(format!("{count} times"), format!("повторений: {count}"))
}

/// Title and text of a try.
pub(crate) fn sample(language: Language) -> (&'static str, &'static str) {
    language.pick(
        ("a test", "This is a test: notices of mlx-tree arrive here."),
        ("проверка", "Это проверка: уведомления mlx-tree приходят сюда."),
    )
}
