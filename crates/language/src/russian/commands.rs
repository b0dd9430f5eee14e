//! The command line: what commands answer, what they advise, and their help.

/// English and Russian.
pub(super) const PHRASES: &[(&str, &str)] = &[
    // Asking a running mlx-tree.
    ("no mlx-tree is running here (there is no {})", "здесь mlx-tree не работает (нет {})"),
    ("{} cannot be read: it belongs to another user", "{} не читается: файл принадлежит другому пользователю"),
    ("{} is not an access file", "{} — не файл доступа"),
    ("{} cannot be used", "{} использовать нельзя"),
    ("mlx-tree (pid {}) does not answer at {}", "mlx-tree (pid {}) не отвечает по адресу {}"),
    ("the answer of {} cannot be understood", "ответ {} непонятен"),
    ("an event of {} cannot be understood", "событие от {} непонятно"),
    (
        "start one with `mlx-tree`; if it has a state directory of its own, name that with --state-dir",
        "запустите его командой `mlx-tree`; если у него свой каталог состояния, укажите его через --state-dir",
    ),
    ("only the user who started it can command it", "командовать им может только тот, кто его запустил"),
    (
        "nobody listens there any more: it was killed; `mlx-tree` starts another one",
        "там больше никто не слушает: его убили; `mlx-tree` запустит новый",
    ),
    ("see whether process {} is still alive", "проверьте, жив ли ещё процесс {}"),
    ("is it an mlx-tree of another version?", "не другой ли версии этот mlx-tree?"),
    // Verbs.
    ("the server is ready (pid {n})", "сервер готов (pid {})"),
    ("the server is ready", "сервер готов"),
    ("the server is ready{}", "сервер готов{}"),
    ("again: killing everything now", "ещё раз: убиваю всё сразу"),
    ("there is no {} yet", "команды {} пока нет"),
    (
        "SIGHUP: there is no reload; restart mlx-tree for a changed configuration",
        "SIGHUP: перечитывания нет; чтобы применить изменённую конфигурацию, перезапустите mlx-tree",
    ),
    (
        "the server is stopped; `mlx-tree start` starts it again",
        "сервер остановлен; `mlx-tree start` запустит его снова",
    ),
    (
        "the server has finished what it had, and is stopped; `mlx-tree start` starts it again",
        "сервер закончил начатое и остановлен; `mlx-tree start` запустит его снова",
    ),
    (
        "{n} servers have finished what they had, and are stopped; `mlx-tree start` lets them run again",
        "серверов, закончивших начатое и остановленных: {}; `mlx-tree start` снова разрешит им работать",
    ),
    ("the restart that was under way already is over", "уже начатый перезапуск закончен"),
    ("{}; left as they are: {}", "{}; остальные не тронуты: {}"),
    (
        "`mlx-tree stop` and `mlx-tree start` restart all of them, whatever happens",
        "`mlx-tree stop` и `mlx-tree start` перезапустят их все в любом случае",
    ),
    (
        "raise server.memory_hard_limit, or use a smaller model, a shorter context or a smaller prompt cache",
        "повысьте server.memory_hard_limit или возьмите модель поменьше, контекст короче или кеш промптов меньше",
    ),
    ("failures forgotten, breaker closed", "неудачи забыты, breaker закрыт"),
    ("mlx-tree is ending", "mlx-tree завершается"),
    ("{n} servers are ready, or asleep until they are wanted", "серверов готово или спит до востребования: {}"),
    (
        "{n} servers are stopped; `mlx-tree start` lets them run again",
        "серверов остановлено: {}; `mlx-tree start` снова разрешит им работать",
    ),
    (
        "{n} servers have been restarted; those that sleep go on sleeping",
        "серверов перезапущено: {}; спящие продолжают спать",
    ),
    ("{n} servers have a clean record", "серверов с чистой историей: {}"),
    ("the server is not ready: {}", "сервер не готов: {}"),
    ("the server is down and will be started by itself in {n} s", "сервер не работает и запустится сам через {} с"),
    ("the server is down and will be started by itself", "сервер не работает и запустится сам"),
    ("the server was stopped meanwhile", "тем временем сервер остановили"),
    ("the server is always there, and is not put to sleep", "этот сервер есть всегда и не засыпает"),
    ("the server does not end: it hangs in the kernel", "сервер не завершается: завис в ядре"),
    ("the tree has ended", "дерево завершилось"),
    (
        "it is tried again as the policy says; see `mlx-tree status`",
        "попытки продолжаются по правилам; см. `mlx-tree status`",
    ),
    (
        "`mlx-tree restart` starts it now; `mlx-tree status` says why it waits",
        "`mlx-tree restart` запустит его сейчас; `mlx-tree status` скажет, чего он ждёт",
    ),
    ("`mlx-tree stop` stops it", "его останавливает `mlx-tree stop`"),
    (
        "only the kernel can let go of it: look at its disk and driver, or reboot",
        "отпустить его может только ядро: проверьте диск и драйвер или перезагрузите машину",
    ),
    ("`{}` shows what there is", "`{}` покажет, что есть"),
    ("see `mlx-tree status`", "см. `mlx-tree status`"),
    // What a person can do about a server.
    (
        "end that process, or set server.port to another port (0 = any free one)",
        "завершите тот процесс или укажите в server.port другой порт (0 — любой свободный)",
    ),
    (
        "install the module, or leave server.python = \"auto\" and run `mlx-tree setup`",
        "установите модуль или оставьте server.python = \"auto\" и выполните `mlx-tree setup`",
    ),
    (
        "check server.model: a directory with config.json, or a hub name that is already downloaded",
        "проверьте server.model: каталог с config.json или уже загруженная модель с хаба",
    ),
    ("check server.args and server.command", "проверьте server.args и server.command"),
    ("check server.python and server.command", "проверьте server.python и server.command"),
    ("check server.cwd", "проверьте server.cwd"),
    (
        "use a smaller model or a shorter context, or close what else uses the GPU",
        "возьмите модель поменьше или контекст покороче или закройте другие программы, занимающие GPU",
    ),
    (
        "check the path and the PATH given to the server; for a script, check that the interpreter in its first line exists",
        "проверьте путь и PATH сервера; у сценария — есть ли интерпретатор из его первой строки",
    ),
    (
        "allow it to be executed (chmod +x), and check that its directories can be entered",
        "разрешите запуск (chmod +x) и проверьте, что в его каталоги можно войти",
    ),
    (
        "it is built for another kind of machine, or it is a script without a #! line; name its interpreter first",
        "программа собрана для другой машины, или это сценарий без строки #!; укажите сначала интерпретатор",
    ),
    ("name the program inside the directory", "укажите программу внутри каталога"),
    (
        "create the directory, or choose one that exists and can be entered",
        "создайте каталог или выберите существующий и доступный",
    ),
    (
        "too many processes run for this user: end some, or raise `ulimit -u`",
        "у этого пользователя слишком много процессов: завершите часть или поднимите `ulimit -u`",
    ),
    ("free memory, or choose a smaller model", "освободите память или выберите модель поменьше"),
    ("too many files are open: raise `ulimit -n`", "открыто слишком много файлов: поднимите `ulimit -n`"),
    ("the cause below is what the operating system said", "причина ниже — слова самой операционной системы"),
    // What the control plane refuses.
    ("the Host header names another server than this one", "заголовок Host называет другой сервер"),
    ("web pages of other origins may not call this server", "чужим веб-страницам этот сервер недоступен"),
    ("this needs POST with content-type: application/json", "здесь нужен POST с content-type: application/json"),
    ("this needs the bearer token from the state directory", "здесь нужен токен из каталога состояния"),
    ("only HTTP/1.1 is spoken here", "здесь говорят только на HTTP/1.1"),
    ("there is nothing at this path", "по этому пути ничего нет"),
    ("this path has another method", "у этого пути другой метод"),
    // The command line itself.
    ("unrecognized subcommand '{}'", "неизвестная команда '{}'"),
    ("unexpected argument '{}' found", "неожиданный аргумент '{}'"),
    ("invalid value '{}' for '{}': {}", "недопустимое значение '{}' для '{}': {}"),
    ("a value is required for '{}' but none was supplied", "для '{}' нужно значение"),
    ("must look like server.model=builtin:tiny", "должно выглядеть как server.model=builtin:tiny"),
    ("a similar subcommand exists: '{}'", "есть похожая команда: '{}'"),
    ("some similar subcommands exist: {}", "есть похожие команды: {}"),
    ("some similar arguments exist: {}", "есть похожие аргументы: {}"),
    ("a similar argument exists: '{}'", "есть похожий аргумент: '{}'"),
    ("to pass '{}' as a value, use '{}'", "чтобы передать '{}' как значение, напишите '{}'"),
];
