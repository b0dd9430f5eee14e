//! mlx-tree as a service of the system.

/// English and Russian.
pub(super) const PHRASES: &[(&str, &str)] = &[
    (
        "{} has a control character and cannot stand in a unit",
        "{} содержит управляющий символ и не может стоять в юните",
    ),
    (
        "the path of the program, {}, has a quote or a backslash, which systemd does not take",
        "в пути к программе, {}, есть кавычка или обратная косая черта, а systemd таких не принимает",
    ),
    ("{} was not written by mlx-tree", "{} написан не mlx-tree"),
    ("there is no account {}", "учётной записи {} нет"),
    ("`{}` cannot be run", "команду `{}` запустить нельзя"),
    ("`{}` failed: {}", "команда `{}` завершилась неудачей: {}"),
    ("{} cannot be written", "{}: записать нельзя"),
    ("{} cannot be removed", "{}: удалить нельзя"),
    ("{} cannot be put aside", "{}: отложить в сторону нельзя"),
    (
        "{} may be a secret, and anybody can read the command line of a service",
        "{} может быть секретом, а командную строку службы может прочитать кто угодно",
    ),
    (
        "put it into a configuration file, and name that with --config",
        "запишите его в файл конфигурации и укажите тот через --config",
    ),
    ("{} is not UTF-8, so it cannot stand in a unit", "{} не в UTF-8 и не может стоять в юните"),
    ("there is no home directory", "домашнего каталога нет"),
    ("set HOME", "задайте HOME"),
    (
        "launchd runs mlx-tree for a user only, not as --system",
        "launchd запускает mlx-tree только для пользователя, не как --system",
    ),
];
