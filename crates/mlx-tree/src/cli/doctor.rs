//! `mlx-tree doctor`: looks at everything that mlx-tree needs, says what is wrong with it, and how to mend that.
//!
//! ```text
//!  settings ─▶ look: probes, side by side, each with its time ─▶ Facts ─▶ judge: pure ─▶ Findings ─▶ text or JSON
//! ```
//!
//! What could not be looked at is a finding too: nothing passes because nobody saw it.

mod facts;
mod judge;
mod look;

use mlx_tree::api::Language;

use super::print;
use super::report::{self, Code, Report};
use super::settings::Loaded;
use super::terminal::show;

/// How the findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What one check came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
struct Finding {
    /// What was looked at: a word that is the same in every language.
    check: &'static str,
    mark: Mark,
    said: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Mark {
    /// As it should be.
    Good,
    /// It works, and somebody should know.
    Note,
    /// It does not work, or will not.
    Bad,
    /// It could not be looked at.
    Unknown,
}

/// Looks, tells, and answers 1 if something is wrong.
pub(crate) async fn doctor(
    loaded: Result<Loaded, Report>,
    language: impl Fn() -> Language,
    form: Form,
) -> Result<Code, Report> {
    let language = language();
    let findings = match loaded {
        Ok(loaded) => judge::judge(&look::look(&loaded).await, language),
        Err(report) => {
            let fix = language.pick(
                "mend it, and see `mlx-tree check`; nothing else can be looked at before",
                "исправьте и проверьте через `mlx-tree check`; до этого больше ничего не проверить",
            );
            // Below its own label, and no blanks at the ends of lines.
            let indent = " ".repeat(17);
            let said = report::said(language, report.error.to_string().trim_end());
            let said = said.lines().map(|line| format!("{indent}{line}").trim_end().to_owned()).collect::<Vec<_>>();
            vec![Finding::bad("configuration", said.join("\n").trim_start(), fix)]
        }
    };
    match form {
        Form::Text => show(&text(&findings, language)),
        Form::Json => {
            let value = serde_json::json!({ "ok": is_well(&findings), "findings": findings });
            print(&(serde_json::to_string_pretty(&value).map_err(|error| Report::new(Code::Bug, error))? + "\n"));
        }
    }
    Ok(if is_well(&findings) { Code::Ok } else { Code::Failed })
}

fn is_well(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.mark != Mark::Bad)
}

fn text(findings: &[Finding], language: Language) -> String {
    let mut text = String::new();
    for Finding { check, mark, said, fix } in findings {
        text.push_str(&format!("{} {check:<14} {said}\n", mark.sign()));
        if let Some(fix) = fix {
            text.push_str(&format!("  {:<14} → {fix}\n", ""));
        }
    }
    let count = |mark| findings.iter().filter(|finding| finding.mark == mark).count();
    let (bad, notes, unknown) = (count(Mark::Bad), count(Mark::Note), count(Mark::Unknown));
    text.push_str(&language.pick(
        format!("\nwrong: {bad}, worth knowing: {notes}, could not be looked at: {unknown}\n"),
        format!("\nнеисправно: {bad}, стоит знать: {notes}, не удалось проверить: {unknown}\n"),
    ));
    text
}

// === impl Form ===

impl Form {
    /// As the flag `--json` says.
    pub(crate) const fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

// === impl Mark ===

impl Mark {
    const fn sign(self) -> char {
        match self {
            Self::Good => '✓',
            Self::Note => '!',
            Self::Bad => '✗',
            Self::Unknown => '?',
        }
    }
}

// === impl Finding ===

impl Finding {
    fn good(check: &'static str, said: impl Into<String>) -> Self {
        Self { check, mark: Mark::Good, said: said.into(), fix: None }
    }

    fn note(check: &'static str, said: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, mark: Mark::Note, said: said.into(), fix: Some(fix.into()) }
    }

    fn bad(check: &'static str, said: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, mark: Mark::Bad, said: said.into(), fix: Some(fix.into()) }
    }

    fn unknown(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, mark: Mark::Unknown, said: why.into(), fix: None }
    }
}
