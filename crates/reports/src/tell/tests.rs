//! What people read, pinned.

use insta::assert_snapshot;

use super::*;
use crate::group::group;
use crate::ledger::tests::report;
use crate::report::{BreakerThen, Fate, Machine, Outcome, Recovery, Way};

const NOON: f64 = 1_767_268_800.0;

fn now(seconds_later: f64) -> Now<'static> {
    Now { seconds: NOON + seconds_later, status: None }
}

fn fate(request: &str, way: Way, outcome: Outcome) -> Fate {
    Fate { request: request.to_owned(), for_s: 3.2, way, outcome, code: None, quarantined_s: None }
}

fn killed() -> Report {
    let cut = Fate { code: Some("server_restarted".to_owned()), ..fate("r-2", Way::Not, Outcome::Cut) };
    Report {
        how: How::Signal { signal: 9 },
        reason: "killed".to_owned(),
        message: "SIGKILL, not sent by mlx-tree: by hand, or for lack of memory".to_owned(),
        usage: Some(Usage {
            memory_bytes: 3 << 30,
            peak_bytes: 7 << 29,
            looked_s_before: 4.0,
            cpu_s: 10.0,
            processors: Some(1.5),
        }),
        machine: Machine {
            system: "Debian, x86_64".to_owned(),
            memory_total: Some(16 << 30),
            memory_available: Some(400 << 20),
            memory_limit: None,
            oom_kills: Some(0),
        },
        requests: vec![fate("r-1", Way::Replayed, Outcome::Answered), cut],
        decision: Some(Decision::Restart { delay_s: 2.0, consecutive: 1 }),
        recovery: Some(Recovery { after_s: 4.1, epoch: 4 }),
        ..report("20260101T120000-server-3")
    }
}

fn suspended() -> Vec<Report> {
    (0..7_u64)
        .map(|n| Report {
            at: format!("2026-01-01T11:5{n}:00Z"),
            epoch: n,
            cause: Some("ValueError: no such thing".to_owned()),
            ready_after_s: None,
            decision: Some(Decision::Suspend { reason: "failures in a row".to_owned(), open_for_s: Some(60.0) }),
            breaker: BreakerThen { before: BreakerState::HalfOpen, after: BreakerState::Open },
            ..report(&format!("20260101T115{n}00-server-{n}"))
        })
        .collect()
}

#[test]
fn a_kill_in_english() {
    assert_snapshot!(tell_all(&group(&[killed()]), &[], now(65.0), Language::En), @r#"
    Now: no mlx-tree is running here.

    server went down 1 min 5 s ago (2026-01-01 12:00:00 UTC): signal SIGKILL (9), not sent by mlx-tree
      what        Somebody sent it SIGKILL, and it was not mlx-tree: a person, a script, or the system for want of memory.
      life        1 min 30 s, ready after 1.3 s; pid 4711, epoch 3; mlx_lm, builtin:tiny
      memory      3.0 GiB when last looked at, 4.0 s before; at most 3.5 GiB; 1.5 processors busy; a moment later the machine had 400 MiB of 16.0 GiB free
      in flight   2 requests
                  r-1, begun 3.2 s before: sent again and answered; its client noticed only the wait
                  r-2, begun 3.2 s before: cut: its client had a part of the answer, and was told that the rest will not come (server_restarted)
      mlx-tree    restart after 2.0 s (failures in a row: 1); ready again after 4.1 s
      you can     · was memory short? Compare its peak with what the machine has; on Linux `journalctl -k | grep -i oom` names what the kernel killed, on macOS the Console has JetsamEvent reports
                  · if it was memory: a smaller model, or server.args = ["--prompt-cache-bytes", "1000000000"]
                  · if it was by hand, there is nothing to do: `mlx-tree stop` stops it for longer
      more        mlx-tree why 20260101T120000-server-3
    "#);
}

#[test]
fn a_kill_in_russian() {
    assert_snapshot!(tell_all(&group(&[killed()]), &[], now(65.0), Language::Ru), @r#"
    Сейчас: mlx-tree здесь не запущен.

    server упал 1 мин 5 с назад (2026-01-01 12:00:00 UTC): сигнал SIGKILL (9), не от mlx-tree
      что         Кто-то послал ему SIGKILL, и это был не mlx-tree: человек, скрипт или система при нехватке памяти.
      работал     1 мин 30 с, готов через 1.3 с; pid 4711, эпоха 3; mlx_lm, builtin:tiny
      память      3.0 ГиБ при последнем замере, за 4.0 с до падения; не больше 3.5 ГиБ; занято процессоров: 1.5; сразу после на машине было свободно 400 МиБ из 16.0 ГиБ
      в работе    запросов: 2
                  r-1, начат за 3.2 с до падения: отправлен снова и получил ответ; клиент заметил только ожидание
                  r-2, начат за 3.2 с до падения: оборван: клиент получил часть ответа и узнал, что остального не будет (server_restarted)
      mlx-tree    перезапуск через 2.0 с (сбоев подряд: 1); снова готов через 4.1 с
      что можно   · не кончилась ли память? Сравните её пик с тем, что есть у машины; в Linux `journalctl -k | grep -i oom` назовёт, кого завершило ядро, в macOS в Консоли есть отчёты JetsamEvent
                  · если дело в памяти: модель поменьше или server.args = ["--prompt-cache-bytes", "1000000000"]
                  · если это сделали вручную, делать ничего не нужно: надолго его останавливает `mlx-tree stop`
      подробнее   mlx-tree why 20260101T120000-server-3
    "#);
}

#[test]
fn a_crash_loop_is_one_paragraph() {
    let torn = Unreadable { file: "x.json".to_owned(), why: "torn".to_owned() };
    assert_snapshot!(tell_all(&group(&suspended()), &[torn], now(0.0), Language::En), @"
    Now: no mlx-tree is running here.

    server went down 7 times in 6 min, last 4 min ago (2026-01-01 11:56:00 UTC): exit code 1
      what        The server ended itself with an error.
      cause       ValueError: no such thing
      life        1 min 30 s, never ready; pid 4711, epoch 6; mlx_lm, builtin:tiny
      memory      not looked at yet
      in flight   no request
      mlx-tree    this start was the breaker's trial; opened the breaker for 1 min, then tries one start: failures in a row; it was not ready again yet
      you can     · the cause line is from its own stderr: look there first; `mlx-tree logs` shows what came before
                  · if it is an exception in mlx_lm, another version may not have it: `mlx-tree doctor` shows the one that runs
      more        mlx-tree why 20260101T115600-server-6

    unreadable: x.json: torn
    ");
}

#[test]
fn a_crash_loop_in_russian() {
    assert_snapshot!(tell_all(&group(&suspended()), &[], now(0.0), Language::Ru), @"
    Сейчас: mlx-tree здесь не запущен.

    server упал 7 раз за 6 мин, последний раз 4 мин назад (2026-01-01 11:56:00 UTC): код выхода 1
      что         Сервер сам завершился с ошибкой.
      причина     ValueError: no such thing
      работал     1 мин 30 с, готов не был; pid 4711, эпоха 6; mlx_lm, builtin:tiny
      память      замерить не успели
      в работе    запросов не было
      mlx-tree    этот запуск был пробным; breaker разомкнут на 1 мин, потом один пробный запуск: failures in a row; ещё не вернулся
      что можно   · строка с причиной взята из его stderr: начните с неё; `mlx-tree logs` покажет, что было до неё
                  · если это исключение в mlx_lm, в другой версии его может не быть: `mlx-tree doctor` покажет, какая работает
      подробнее   mlx-tree why 20260101T115600-server-6
    ");
}

#[test]
fn a_kill_that_the_kernel_admits_to_calls_for_other_advice() {
    let mut report = killed();
    report.machine.oom_kills = Some(1);
    let text = tell_all(&group(&[report]), &[], now(0.0), Language::En);
    assert!(text.contains("The kernel killed it because memory had run out."), "{text}");
    assert!(text.contains("kills by the kernel for want of memory: 1"), "{text}");
}

#[test]
fn russian_counts_as_russians_do() {
    let counted = [1, 2, 4, 5, 7, 11, 12, 14, 21, 22, 112].map(|count| format!("{count} {}", russian_times(count)));
    let said = "1 раз, 2 раза, 4 раза, 5 раз, 7 раз, 11 раз, 12 раз, 14 раз, 21 раз, 22 раза, 112 раз";
    assert_eq!(counted.join(", "), said);
}

#[test]
fn nothing_to_tell_is_said() {
    assert_snapshot!(tell_all(&[], &[], now(0.0), Language::En), @"
    Now: no mlx-tree is running here.

    No report of a server that went down.
    ");
    assert_snapshot!(tell_all(&[], &[], now(0.0), Language::Ru), @"
    Сейчас: mlx-tree здесь не запущен.

    Ни одного отчёта о падении сервера.
    ");
}

#[test]
fn one_report_is_told_whole() {
    let mut report = killed();
    report.last_lines = vec!["127.0.0.1 - - \"POST /v1/chat/completions\"".to_owned()];
    let kind = mlx_tree_api::Kind::HealthMonitoring;
    report.events = vec![mlx_tree_api::Event {
        seq: 9,
        at: "2026-01-01T11:59:01.5Z".to_owned(),
        child: "server".to_owned(),
        epoch: 3,
        server: None,
        kind,
    }];
    let text = tell_one(&report, now(0.0), Language::En);
    let rest = &text[text.find("  mlx-tree    0.1.0").expect("the version")..];
    assert_snapshot!(rest, @r#"
      mlx-tree    0.1.0, Debian, x86_64

    Its last lines:
      127.0.0.1 - - "POST /v1/chat/completions"

    What happened before, and just after:
      11:59:01  🔍 [SUPERVISOR] Monitoring loop started
    "#);
}
