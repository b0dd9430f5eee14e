//! What a reason means and what a person can do about it: a closed table, in both languages.

use mlx_tree_api::Language;

/// What there is to say about a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// What has happened, in one sentence.
    pub meaning: &'static str,
    /// What a person can do, the likeliest thing first; empty where mlx-tree has done what there is to do.
    pub steps: &'static [&'static str],
}

/// What there is to say about the reason of this word, in this language; `None` for a word of another version.
#[must_use]
pub fn advice(reason: &str, language: Language) -> Option<Advice> {
    let (_, english, russian) = TABLE.iter().find(|(word, _, _)| *word == reason)?;
    Some(language.pick(*english, *russian))
}

/// The evidence for a kill for want of memory is apart from the word `killed`, and so is what it calls for.
pub(crate) fn killed_for_memory(language: Language) -> Advice {
    let english = Advice {
        meaning: "The kernel killed it because memory had run out.",
        steps: &[
            "take a smaller model, or one with fewer bits (…-4bit)",
            "let the server keep less: server.args = [\"--prompt-cache-bytes\", \"1000000000\"], or a smaller --decode-concurrency",
            "give it more room: end what else uses memory, or raise the limit of its container or unit (MemoryMax)",
        ],
    };
    let russian = Advice {
        meaning: "Ядро завершило его, потому что кончилась память.",
        steps: &[
            "возьмите модель поменьше или с меньшей разрядностью (…-4bit)",
            "пусть сервер хранит меньше: server.args = [\"--prompt-cache-bytes\", \"1000000000\"] или меньше --decode-concurrency",
            "освободите память: закройте лишнее или поднимите предел контейнера или юнита (MemoryMax)",
        ],
    };
    language.pick(english, russian)
}

const fn says(meaning: &'static str, steps: &'static [&'static str]) -> Advice {
    Advice { meaning, steps }
}

const TABLE: &[(&str, Advice, Advice)] = &[
    (
        "exit_code",
        says(
            "The server ended itself with an error.",
            &[
                "the cause line is from its own stderr: look there first; `mlx-tree logs` shows what came before",
                "if it is an exception in mlx_lm, another version may not have it: `mlx-tree doctor` shows the one that runs",
            ],
        ),
        says(
            "Сервер сам завершился с ошибкой.",
            &[
                "строка с причиной взята из его stderr: начните с неё; `mlx-tree logs` покажет, что было до неё",
                "если это исключение в mlx_lm, в другой версии его может не быть: `mlx-tree doctor` покажет, какая работает",
            ],
        ),
    ),
    (
        "unexpected_exit",
        says(
            "The server ended by itself and said that all was well, though it was to go on running.",
            &[
                "look for who ended it: a script, or something in server.command that runs once and returns",
                "if it may end by itself, say so: restart.policy = \"transient\"",
            ],
        ),
        says(
            "Сервер сам завершился без ошибки, хотя должен был работать.",
            &[
                "найдите, кто его завершил: скрипт или команда в server.command, которая отрабатывает и выходит",
                "если ему можно завершаться самому, так и скажите: restart.policy = \"transient\"",
            ],
        ),
    ),
    (
        "crashed",
        says(
            "The server crashed in native code: MLX, Metal or a library below Python.",
            &[
                "if it was always the same request, it is refused after the second time; see \"in flight\" above",
                "if it happens under many requests at once, lower gateway.max_inflight or the server's --decode-concurrency",
                "try another version of mlx and mlx-lm: `mlx-tree doctor` shows the ones that run",
            ],
        ),
        says(
            "Сервер упал в нативном коде: MLX, Metal или библиотека под Python.",
            &[
                "если каждый раз виноват один и тот же запрос, после второго раза он отклоняется; см. «в работе» выше",
                "если это бывает под многими запросами сразу, уменьшите gateway.max_inflight или --decode-concurrency сервера",
                "попробуйте другие версии mlx и mlx-lm: `mlx-tree doctor` покажет, какие работают",
            ],
        ),
    ),
    (
        "killed",
        says(
            "Somebody sent it SIGKILL, and it was not mlx-tree: a person, a script, or the system for want of memory.",
            &[
                "was memory short? Compare its peak with what the machine has; on Linux `journalctl -k | grep -i oom` names what the \
               kernel killed, on macOS the Console has JetsamEvent reports",
                "if it was memory: a smaller model, or server.args = [\"--prompt-cache-bytes\", \"1000000000\"]",
                "if it was by hand, there is nothing to do: `mlx-tree stop` stops it for longer",
            ],
        ),
        says(
            "Кто-то послал ему SIGKILL, и это был не mlx-tree: человек, скрипт или система при нехватке памяти.",
            &[
                "не кончилась ли память? Сравните её пик с тем, что есть у машины; в Linux `journalctl -k | grep -i oom` назовёт, кого \
               завершило ядро, в macOS в Консоли есть отчёты JetsamEvent",
                "если дело в памяти: модель поменьше или server.args = [\"--prompt-cache-bytes\", \"1000000000\"]",
                "если это сделали вручную, делать ничего не нужно: надолго его останавливает `mlx-tree stop`",
            ],
        ),
    ),
    (
        "terminated_externally",
        says(
            "Somebody asked it to end (SIGTERM, SIGINT or SIGHUP), and it was not mlx-tree.",
            &[
                "use `mlx-tree stop` to stop it and `mlx-tree restart` to restart it: mlx-tree brings back what others end",
                "look for a script or a second supervisor (systemd, launchd, pm2) that also looks after it",
            ],
        ),
        says(
            "Кто-то попросил его завершиться (SIGTERM, SIGINT или SIGHUP), и это был не mlx-tree.",
            &[
                "останавливайте его через `mlx-tree stop`, перезапускайте через `mlx-tree restart`: завершённое другими mlx-tree поднимает",
                "поищите скрипт или второй супервизор (systemd, launchd, pm2), который тоже за ним следит",
            ],
        ),
    ),
    (
        "metal_out_of_memory",
        says(
            "The GPU had no more memory for it.",
            &[
                "take a smaller model, or one with fewer bits (…-4bit)",
                "let it keep less: server.args = [\"--prompt-cache-bytes\", \"1000000000\"]; for long contexts \"--kv-bits\", \"8\" (then \
               it serves one request at a time)",
                "lower gateway.max_inflight and the server's --decode-concurrency: each answer in progress has a cache of its own",
                "let the GPU have more of the memory: sudo sysctl iogpu.wired_limit_mb=N, leaving some 8 GB for the system; close what \
               else uses the GPU",
            ],
        ),
        says(
            "У GPU не осталось для него памяти.",
            &[
                "возьмите модель поменьше или с меньшей разрядностью (…-4bit)",
                "пусть хранит меньше: server.args = [\"--prompt-cache-bytes\", \"1000000000\"]; для длинных контекстов \"--kv-bits\", \"8\" \
               (тогда запросы обслуживаются по одному)",
                "уменьшите gateway.max_inflight и --decode-concurrency сервера: у каждого ответа в работе свой кэш",
                "отдайте GPU больше памяти: sudo sysctl iogpu.wired_limit_mb=N, оставив системе около 8 ГБ; закройте то, что ещё занимает GPU",
            ],
        ),
    ),
    (
        "port_in_use",
        says(
            "Its port belongs to another process, which mlx-tree does not touch.",
            &["end that process, or set server.port = 0 for any free port: clients use gateway.listen anyway"],
        ),
        says(
            "Его порт занят другим процессом, который mlx-tree не трогает.",
            &[
                "завершите тот процесс или задайте server.port = 0 (любой свободный порт): клиенты всё равно ходят на gateway.listen",
            ],
        ),
    ),
    (
        "python_module_missing",
        says(
            "Its Python lacks a module.",
            &[
                "leave server.python = \"auto\" and run `mlx-tree setup`, which makes an environment that has it",
                "or install the module into the interpreter that server.python names: pip install mlx-lm (on Linux \"mlx-lm[cpu]\")",
            ],
        ),
        says(
            "В его Python не хватает модуля.",
            &[
                "оставьте server.python = \"auto\" и выполните `mlx-tree setup`: он создаст окружение, где модуль есть",
                "или установите модуль в интерпретатор из server.python: pip install mlx-lm (в Linux \"mlx-lm[cpu]\")",
            ],
        ),
    ),
    (
        "bad_model",
        says(
            "The model cannot be loaded.",
            &[
                "`mlx-tree doctor` looks at its files: missing parts, empty files, pointers of Git LFS",
                "check server.model: a directory with config.json, or a hub name that is already downloaded or can be",
                "a model newer than mlx-lm needs a newer mlx-lm (\"Model type … not supported\")",
            ],
        ),
        says(
            "Модель не загружается.",
            &[
                "`mlx-tree doctor` проверит её файлы: недостающие части, пустые файлы, указатели Git LFS",
                "проверьте server.model: каталог с config.json или имя на хабе, которое уже скачано или может быть скачано",
                "модели новее, чем mlx-lm, нужен mlx-lm поновее («Model type … not supported»)",
            ],
        ),
    ),
    (
        "bad_arguments",
        says(
            "It did not understand its arguments.",
            &[
                "check server.args and server.command; the cause line is its own complaint",
                "a flag may be of another version: `mlx-tree doctor` shows the one that runs",
            ],
        ),
        says(
            "Он не понял своих аргументов.",
            &[
                "проверьте server.args и server.command; строка с причиной — его собственная жалоба",
                "возможно, флаг из другой версии: `mlx-tree doctor` покажет, какая работает",
            ],
        ),
    ),
    (
        "cannot_execute",
        says(
            "The program could not be started: it is missing, not executable, or made for another machine.",
            &["check server.python and server.command; `mlx-tree doctor` tries the interpreter"],
        ),
        says(
            "Программу не удалось запустить: её нет, она не исполняемая или собрана для другой машины.",
            &["проверьте server.python и server.command; `mlx-tree doctor` испытает интерпретатор"],
        ),
    ),
    (
        "bad_working_directory",
        says("Its working directory is missing.", &["make the directory, or set server.cwd to one that is there"]),
        says("Нет его рабочего каталога.", &["создайте каталог или укажите в server.cwd существующий"]),
    ),
    (
        "out_of_resources",
        says(
            "The system had no more processes, memory or file descriptors to give.",
            &[
                "`mlx-tree doctor` shows the limits; raise them (ulimit -n, LimitNOFILE=, TasksMax=)",
                "look for what uses them up",
            ],
        ),
        says(
            "У системы не нашлось процессов, памяти или файловых дескрипторов.",
            &[
                "`mlx-tree doctor` покажет пределы; поднимите их (ulimit -n, LimitNOFILE=, TasksMax=)",
                "посмотрите, кто их исчерпал",
            ],
        ),
    ),
    (
        "generation_died",
        says(
            "The thread that generates for everybody died while the process lived on; left alone, it would answer nothing for ever.",
            &[
                "the cause line is the exception that ended it: most often a request that mlx_lm does not survive, see docs/VALIDATION.md",
                "if one request is behind it, it is refused after the second time; see \"in flight\" above",
                "try another version of mlx-lm: `mlx-tree doctor` shows the one that runs",
            ],
        ),
        says(
            "Поток, который генерирует ответы для всех, умер, а процесс остался; сам по себе он не ответил бы уже никому.",
            &[
                "строка с причиной — исключение, которое его завершило: чаще всего запрос, которого mlx_lm не выдерживает, см. docs/VALIDATION.md",
                "если виноват один запрос, после второго раза он отклоняется; см. «в работе» выше",
                "попробуйте другую версию mlx-lm: `mlx-tree doctor` покажет, какая работает",
            ],
        ),
    ),
    (
        "start_timeout",
        says(
            "It was not ready within server.start_timeout.",
            &[
                "if it was loading or downloading a large model, give it longer: server.start_timeout = \"1800s\", or download it first",
                "if it was doing nothing, its last lines tell more: `mlx-tree why ID`",
            ],
        ),
        says(
            "Он не успел подняться за server.start_timeout.",
            &[
                "если он загружал или скачивал большую модель, дайте больше времени: server.start_timeout = \"1800s\", или скачайте её заранее",
                "если он ничего не делал, больше скажут его последние строки: `mlx-tree why ID`",
            ],
        ),
    ),
    (
        "canary_failed",
        says(
            "It came up, but its first completion, of one token, failed.",
            &[
                "the message is its own answer; a model that loads only in part is the usual reason: `mlx-tree doctor` looks at its files",
            ],
        ),
        says(
            "Он поднялся, но первый же ответ из одного токена не удался.",
            &[
                "сообщение — его собственный ответ; обычно модель загрузилась не полностью: `mlx-tree doctor` проверит её файлы",
            ],
        ),
    ),
    (
        "unhealthy",
        says(
            "Its process lived but answered no more, so mlx-tree ended it.",
            &[
                "if it was only very busy: lower gateway.max_inflight, or raise health.canary_timeout and health.stall_after",
                "if it hangs again and again without load, try another version of mlx-lm",
            ],
        ),
        says(
            "Процесс жил, но больше не отвечал, и mlx-tree его завершил.",
            &[
                "если он просто был очень занят: уменьшите gateway.max_inflight или увеличьте health.canary_timeout и health.stall_after",
                "если он зависает снова и снова без нагрузки, попробуйте другую версию mlx-lm",
            ],
        ),
    ),
    (
        "foreign_listener",
        says(
            "Another process answers on its port, and must not be taken for it.",
            &["end that process, or set server.port = 0 for any free port"],
        ),
        says(
            "На его порту отвечает другой процесс, и его нельзя принимать за сервер.",
            &["завершите тот процесс или задайте server.port = 0 (любой свободный порт)"],
        ),
    ),
    (
        "worker_failed",
        says(
            "The part of mlx-tree that looks after it failed, so it was ended with it: a bug in mlx-tree.",
            &["please report it with the report's file"],
        ),
        says(
            "Отказала часть mlx-tree, которая за ним следит, и он был завершён вместе с ней: ошибка в mlx-tree.",
            &["сообщите о ней, приложив файл отчёта"],
        ),
    ),
    (
        "memory_limit",
        says(
            "It used more memory than its hard limit allows, so mlx-tree restarted it.",
            &[
                "if the limit (server.memory_hard_limit) is too tight for the model, raise it; else let the server keep less: server.args = \
               [\"--prompt-cache-bytes\", \"1000000000\"]",
            ],
        ),
        says(
            "Он занял больше памяти, чем позволяет жёсткий предел, и mlx-tree его перезапустил.",
            &[
                "если предел (server.memory_hard_limit) слишком тесен для модели, поднимите его; если нет, пусть сервер хранит меньше: server.args = \
               [\"--prompt-cache-bytes\", \"1000000000\"]",
            ],
        ),
    ),
    (
        "unknown",
        says("How it ended could not be learnt.", &["its last lines may tell: `mlx-tree why ID`"]),
        says("Узнать, как он завершился, не удалось.", &["возможно, скажут его последние строки: `mlx-tree why ID`"]),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_stands_once_and_says_something_in_both_languages() {
        for (word, english, russian) in TABLE {
            assert_eq!(TABLE.iter().filter(|(other, _, _)| other == word).count(), 1, "{word}");
            assert_eq!(english.steps.len(), russian.steps.len(), "{word}");
            let cyrillic = |text: &str| text.chars().any(|it| ('а'..='я').contains(&it));
            assert!(!cyrillic(english.meaning) && english.steps.iter().all(|step| !cyrillic(step)), "{word}");
            assert!(cyrillic(russian.meaning) && russian.steps.iter().all(|step| cyrillic(step)), "{word}");
        }
        assert_eq!(advice("of_another_version", Language::En), None);
    }
}
