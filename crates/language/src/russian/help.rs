//! The help of the command line.

/// English and Russian.
pub(super) const PHRASES: &[(&str, &str)] = &[
    (
        "Keeps a local LLM server alive: an OTP-style supervision tree around mlx_lm.server",
        "Не даёт упасть локальному серверу LLM: дерево супервизоров в духе OTP вокруг mlx_lm.server",
    ),
    (
        "Without a command mlx-tree runs the tree in the foreground: it finds or makes a Python with mlx_lm, starts the \
         server, watches it, and brings it back however it goes down. Nothing has to be configured; `mlx-tree check` shows \
         what can be.\n\nExit codes: 0 done, 1 refused, 64 wrong usage, 69 port taken, 70 a bug, 75 the tree gave up or \
         another mlx-tree runs already, 78 wrong configuration, 130 ended by Ctrl-C.",
        "Без команды mlx-tree запускает дерево на переднем плане: находит или создаёт Python с mlx_lm, запускает сервер, \
         наблюдает за ним и возвращает его, как бы он ни упал. Настраивать ничего не надо; что можно настроить, показывает \
         `mlx-tree check`.\n\nКоды завершения: 0 — сделано, 1 — отказ, 64 — неверный вызов, 69 — порт занят, 70 — ошибка \
         в самом mlx-tree, 75 — дерево сдалось или уже работает другой mlx-tree, 78 — негодная конфигурация, 130 — прерван \
         Ctrl-C.",
    ),
    ("Show what has happened", "Показать, что происходило"),
    ("Show so many of the last events", "Сколько последних событий показать"),
    (
        "Show them as JSON, one a line, with all that is routine",
        "Показать в JSON, по одному в строке, включая рутинные",
    ),
    (
        "Show the token that the verbs of the control API need",
        "Показать токен, который нужен командам управляющего API",
    ),
    (
        "Let the server finish what it works on, forget its failures, and start it afresh",
        "Дать серверу закончить начатое, забыть его сбои и запустить заново",
    ),
    (
        "Let the server finish what it works on, and stop it; the tree stays",
        "Дать серверу закончить начатое и остановить его; дерево остаётся",
    ),
    (
        "Install it, with the settings that are given here, and start it, now and from now on",
        "Установить службу с заданными здесь настройками и запустить, сейчас и впредь",
    ),
    (
        "Put a file of this name that mlx-tree has not written aside",
        "Отложить в сторону файл с этим именем, если его писал не mlx-tree",
    ),
    ("End it and take it away", "Завершить и убрать службу"),
    ("Show how it is", "Показать её состояние"),
    ("Print the file that `install` would write", "Напечатать файл, который записала бы `install`"),
    (
        "A service of your own, which needs no root (this is the default)",
        "Служба пользователя, root не нужен (по умолчанию)",
    ),
    ("A service of the machine (systemd only)", "Служба машины (только systemd)"),
    ("What it is called", "Как она называется"),
    ("Whose account a service of the machine runs under", "Под какой учётной записью работает служба машины"),
    ("Who runs it; by itself, whoever does so here", "Кто её запускает; по умолчанию — то, что есть в этой системе"),
    ("Settings", "Настройки"),
    ("Print help", "Показать справку"),
    ("Print help (see more with '--help')", "Показать справку (подробнее — '--help')"),
    ("Print help (see a summary with '-h')", "Показать справку (кратко — '-h')"),
    ("Print version", "Показать версию"),
    ("Print this message or the help of the given subcommand(s)", "Показать эту справку или справку по команде"),
    (
        "Read this configuration file too, over the user's own",
        "Прочесть и этот файл конфигурации, поверх пользовательского",
    ),
    ("Set one key, over everything else; may be repeated", "Задать один ключ поверх всего остального; можно повторять"),
    (
        "The model: a directory, a hub name, or builtin:tiny [server.model]",
        "Модель: каталог, имя на хабе или builtin:tiny [server.model]",
    ),
    (
        "The port that clients use; 0 for any free one [gateway.listen]",
        "Порт для клиентов; 0 — любой свободный [gateway.listen]",
    ),
    (
        "The directory of locks, history and access token [state_dir]",
        "Каталог блокировок, истории и токена доступа [state_dir]",
    ),
    (
        "How the log is written: narration, text or json [log.format]",
        "Вид журнала: narration, text или json [log.format]",
    ),
    (
        "Run the tree in the foreground (the same as no command)",
        "Запустить дерево на переднем плане (то же, что без команды)",
    ),
    (
        "Further arguments for the server, after `--` [server.args]",
        "Ещё аргументы для сервера, после `--` [server.args]",
    ),
    (
        "Run the tree over a built-in stand-in server: no Python, no MLX",
        "Запустить дерево над встроенной имитацией сервера: без Python и без MLX",
    ),
    (
        "Further flags for the stand-in, after `--`; `mlx-tree stand-in --help` lists them",
        "Ещё флаги для имитации, после `--`; их перечисляет `mlx-tree stand-in --help`",
    ),
    ("Show the running tree", "Показать работающее дерево"),
    ("Show it as JSON, as the control API answers it", "Показать в JSON, как отвечает управляющий API"),
    (
        "Show the running tree in the terminal, and keep it up to date",
        "Показывать работающее дерево в терминале, обновляя его",
    ),
    ("Leave the mouse to the terminal", "Не трогать мышь: она остаётся терминалу"),
    ("Start the server again after `stop`", "Снова запустить сервер после `stop`"),
    ("Stop the server and keep it stopped; the tree stays", "Остановить сервер и не запускать; дерево остаётся"),
    ("Stop the server, forget its failures, and start it", "Остановить сервер, забыть его сбои и запустить снова"),
    ("Forget all failures and close the breaker", "Забыть все сбои и замкнуть breaker"),
    ("End the server and mlx-tree itself", "Завершить сервер и сам mlx-tree"),
    ("Show what the server wrote", "Показать, что писал сервер"),
    ("Show so many of the last lines", "Сколько последних строк показать"),
    ("Go on with those to come", "Продолжать с новыми"),
    (
        "Check the configuration, and show where each value comes from",
        "Проверить конфигурацию и показать, откуда взято каждое значение",
    ),
    (
        "Find or make the Python environment and the model, and run nothing",
        "Найти или создать окружение Python и модель, ничего не запуская",
    ),
    (
        "Explain why servers went down, and what can be done about it",
        "Объяснить, почему серверы падали и что с этим делать",
    ),
    (
        "Tell this report whole: its name, or a part of it that no other has",
        "Показать отчёт целиком: его имя или часть имени, которой нет у других",
    ),
    ("Tell of this server only", "Только об этом сервере"),
    ("Tell so many ends; those that say the same count once", "Показать столько падений; одинаковые считаются за одно"),
    (
        "Look at everything that mlx-tree needs, and say how to mend what is wrong",
        "Проверить всё, что нужно mlx-tree, и сказать, что и как исправить",
    ),
    ("Show the findings as JSON", "Показать найденное в JSON"),
    ("Show the reports as JSON, newest first", "Показать отчёты в JSON, новые сверху"),
    ("Have the system run mlx-tree: systemd or launchd", "Поручить mlx-tree системе: systemd или launchd"),
    ("Print completions for a shell", "Напечатать автодополнения для оболочки"),
    ("bash, elvish, fish, powershell or zsh", "bash, elvish, fish, powershell или zsh"),
    ("Print the man page", "Напечатать страницу man"),
    ("Write it, and those of the commands, into this directory", "Записать её и страницы команд в этот каталог"),
    ("Those who are told when something needs a human", "Кого оповещать, когда нужен человек"),
    (
        "Tell them that this is a test, and say whether it arrived",
        "Послать им пробное оповещение и сказать, дошло ли оно",
    ),
    ("Only the one that is called so", "Только тому, кто так называется"),
    (
        "Read the configuration again and apply what has changed; a server is restarted only if it has to be",
        "Перечитать конфигурацию и применить изменения; сервер перезапускается, только если иначе нельзя",
    ),
    ("Show what would change, and change nothing", "Показать, что изменилось бы, и ничего не менять"),
];
