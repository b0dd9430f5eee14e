//! What is needed for a server to start: its interpreter and its model.

use mlx_tree::api::Language;

use super::super::Finding;
use super::super::facts::{Damage, Files, Found, Machine, Model, Python, Server};

/// The versions of mlx-lm that were tried: the first and the last one, as major and minor.
const TRIED: [(u32, u32); 2] = [(0, 26), (0, 32)];

/// What a model takes beside its weights, as a fraction of them: caches and what is computed with.
const BESIDE: f64 = 0.2;

pub(super) fn python(server: &Server, language: Language) -> Option<Finding> {
    let Python { module, found } = server.python.as_ref()?;
    let name = &server.name;
    Some(match found {
        Found::Unknown(why) => Finding::unknown("python", format!("{name}: {why}")),
        Found::Failed { why, help } => {
            let otherwise = language.pick(
                "leave server.python = \"auto\" and run `mlx-tree setup`",
                "оставьте server.python = \"auto\" и выполните `mlx-tree setup`",
            );
            let help = help.as_deref().map_or_else(|| otherwise.to_owned(), |help| language.say(help).into_owned());
            Finding::bad("python", format!("{name}: {}", language.say(why)), help)
        }
        Found::WouldBeMade => Finding::note(
            "python",
            language.pick(
                format!("{name}: no Python here has {module} yet; mlx-tree makes an environment of its own at its first start"),
                format!("{name}: ни в одном Python здесь ещё нет {module}; при первом запуске mlx-tree создаст своё окружение"),
            ),
            language.pick("`mlx-tree setup` does it now", "`mlx-tree setup` сделает это сейчас"),
        ),
        Found::There { path, version, module_version, mlx } => {
            let path = path.display();
            let said = match mlx {
                Ok((mlx, _)) => format!("{name}: {path}, Python {version}, {module} {module_version}, mlx {mlx}"),
                Err(why) => format!("{name}: {path}, Python {version}, {module} {module_version}, mlx: {why}"),
            };
            match mlx {
                Err(_) => Finding::unknown("python", said),
                Ok((_, machine)) if cfg!(all(target_os = "macos", target_arch = "aarch64")) && machine == "x86_64" => {
                    Finding::bad(
                        "python",
                        language.pick(
                            format!("{said}; it is made for Intel and runs through Rosetta, where MLX has no GPU"),
                            format!("{said}; он собран для Intel и работает через Rosetta, где у MLX нет GPU"),
                        ),
                        language.pick(
                            "take an arm64 Python (Homebrew in /opt/homebrew, python.org), or server.python = \"auto\"",
                            "возьмите Python для arm64 (Homebrew в /opt/homebrew, python.org) или server.python = \"auto\"",
                        ),
                    )
                }
                Ok(_) => tried(module, module_version, said, language),
            }
        }
    })
}

fn tried(module: &str, version: &str, said: String, language: Language) -> Finding {
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    let Some(version) = numbers.next().zip(numbers.next()).filter(|_| module == "mlx_lm") else {
        return Finding::good("python", said);
    };
    let [first, last] = TRIED;
    if (first..=last).contains(&version) {
        return Finding::good("python", said);
    }
    let fix = language.pick(
        format!("0.{} to 0.{} are known to work: pip install \"mlx-lm==0.{}.*\"", first.1, last.1, last.1),
        format!("проверены версии с 0.{} по 0.{}: pip install \"mlx-lm==0.{}.*\"", first.1, last.1, last.1),
    );
    let untried = language.pick("; mlx-tree was not tried with it", "; с этой версией mlx-tree не проверялся");
    Finding::note("python", said + untried, fix)
}

pub(super) fn model(server: &Server, machine: &Machine, language: Language) -> Option<Finding> {
    let name = &server.name;
    Some(match &server.model {
        Model::NotOurs => return None,
        Model::Builtin => Finding::good(
            "model",
            language.pick(
                format!("{name}: builtin:tiny, made on the spot; it babbles"),
                format!("{name}: builtin:tiny, создаётся на месте; несёт чепуху"),
            ),
        ),
        Model::Unknown(why) => Finding::unknown("model", format!("{name}: {why}")),
        Model::Wrong(why) => Finding::bad(
            "model",
            format!("{name}: {}", language.say(why)),
            language.pick(
                "set server.model to a directory with config.json, to a hub name, or to builtin:tiny",
                "укажите в server.model каталог с config.json, имя на хабе или builtin:tiny",
            ),
        ),
        Model::Hub { id, cached: None } if server.start_offline => Finding::bad(
            "model",
            language.pick(
                format!("{name}: {id} is not downloaded, and HF_HUB_OFFLINE forbids it"),
                format!("{name}: {id} не скачана, а HF_HUB_OFFLINE это запрещает"),
            ),
            format!("hf download {id}"),
        ),
        Model::Hub { id, cached: None } => Finding::note(
            "model",
            language.pick(
                format!(
                    "{name}: {id} is not downloaded yet; that happens at the first start, within server.start_timeout"
                ),
                format!("{name}: {id} ещё не скачана; это произойдёт при первом запуске, за server.start_timeout"),
            ),
            format!("hf download {id}"),
        ),
        Model::Hub { id, cached: Some(files) } => judged(name, id, files, machine, language),
        Model::Directory(files) => judged(name, &files.path.display().to_string(), files, machine, language),
    })
}

fn judged(name: &str, model: &str, files: &Files, machine: &Machine, language: Language) -> Finding {
    let again = language.pick(
        format!("download it again: hf download, or git lfs pull in {}", files.path.display()),
        format!("скачайте заново: hf download или git lfs pull в {}", files.path.display()),
    );
    if let Some((file, damage)) = files.damaged.first() {
        let more = files.damaged.len() - 1;
        let how = damaged(damage, language);
        let more = if more == 0 {
            String::new()
        } else {
            language.pick(format!(" (and {more} more)"), format!(" (и ещё {more})"))
        };
        return Finding::bad("model", format!("{name}: {file}: {how}{more}"), again);
    }
    if !files.missing.is_empty() {
        let missing = files.missing.join(", ");
        return Finding::bad(
            "model",
            language
                .pick(format!("{name}: {model} lacks {missing}"), format!("{name}: в {model} не хватает: {missing}")),
            again,
        );
    }
    let needs = (files.weights as f64 * (1.0 + BESIDE)) as u64;
    let (weights, about) = (language.size(files.weights), language.size(needs));
    let said = language.pick(
        format!("{name}: {model} is complete, {weights} of weights; it will need about {about}"),
        format!("{name}: {model} целая, весов {weights}; понадобится около {about}"),
    );
    room(needs, said, machine, language)
}

fn damaged(damage: &Damage, language: Language) -> String {
    match damage {
        Damage::Empty => language.pick("it is empty", "он пуст").to_owned(),
        Damage::LfsPointer => {
            language.pick("a pointer of Git LFS, not the file", "указатель Git LFS, а не сам файл").to_owned()
        }
        Damage::Size { has, wants } => {
            // In bytes: what is missing may be less than any larger unit shows.
            language.pick(
                format!("it has {has} of the {wants} bytes that its own head tells of: cut short"),
                format!("в нём {has} из {wants} байт, о которых говорит его заголовок: он обрезан"),
            )
        }
        Damage::Malformed(why) => language.pick(format!("damaged: {why}"), format!("повреждён: {why}")),
    }
}

/// Whether there is room for it: in the machine, within the limit, and for the GPU.
fn room(needs: u64, said: String, machine: &Machine, language: Language) -> Finding {
    let Some(total) = machine.memory.map(|memory| memory.total) else {
        return Finding::unknown(
            "model",
            language.pick(
                format!("{said}; how much memory there is, is not known"),
                format!("{said}; сколько памяти всего, неизвестно"),
            ),
        );
    };
    let limits = [Some(total), machine.limit, machine.gpu_limit];
    let room = limits.into_iter().flatten().min().unwrap_or(total);
    let has = language.size(room);
    let fix = language.pick(
        "take a smaller model or one with fewer bits, or give it more room",
        "возьмите модель поменьше или с меньшей разрядностью либо дайте ей больше места",
    );
    if needs > room {
        return Finding::bad(
            "model",
            language.pick(format!("{said}, and there is {has}"), format!("{said}, а есть {has}")),
            fix,
        );
    }
    if needs > room / 4 * 3 {
        let said = language.pick(format!("{said}, of {has}: tight"), format!("{said} из {has}: впритык"));
        return Finding::note("model", said, fix);
    }
    Finding::good("model", said)
}
