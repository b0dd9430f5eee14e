//! A POST by TLS. mlx-tree has no TLS of its own; curl, which every Mac and nearly every Linux has, does it.
//!
//! URL and body go through curl's stdin, as a configuration: everybody on the machine can read the arguments of a process.

use serde_json::Value;

use super::program::{Failed, Program};
use super::{Failure, judge};
use crate::{Target, Url};

/// Posts `body`.
pub(super) async fn post(url: &Url, body: &Value, target: &Target) -> Result<(), Failure> {
    let argv = ["curl", "--disable", "--config", "-"].map(str::to_owned);
    let program = Program { argv: &argv, environment: &target.environment.0, more: Vec::new() };
    match program.run(configuration(url, body)).await {
        Ok(said) => match said.trim().parse() {
            Ok(status) => judge(status, None),
            Err(_) => Err(Failure::passing("curl says nothing that makes sense")),
        },
        Err(Failed::Code(code, _)) => Err(meaning(code)),
        Err(Failed::Absent) => Err(Failure::Lasting("https needs curl, which is not there".to_owned())),
        Err(Failed::Other(why)) => Err(Failure::passing(format!("curl: {why}"))),
    }
}

/// What its exit code means. Its own words are not used: they may hold the URL.
fn meaning(code: i32) -> Failure {
    match code {
        3 => Failure::Lasting("its URL cannot be used".to_owned()),
        6 => Failure::passing("its host cannot be found"),
        7 => Failure::passing("nobody answers there"),
        28 => Failure::passing("no answer in time"),
        35 | 53 | 54 | 58 | 59 | 66 | 80 => Failure::passing(format!("TLS failed (curl exit code {code})")),
        51 | 60 | 77 | 83 | 90 => {
            Failure::Lasting(format!("its certificate is not to be trusted (curl exit code {code})"))
        }
        52 | 55 | 56 => Failure::passing("the connection broke off"),
        code => Failure::passing(format!("curl exit code {code}")),
    }
}

fn configuration(url: &Url, body: &Value) -> String {
    let mut text = String::new();
    let mut option = |name: &str, value: &str| {
        // In curl's quotes only these two are special; JSON has no line breaks.
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        text.push_str(&format!("{name} = \"{value}\"\n"));
    };
    option("url", url.expose());
    option("request", "POST");
    option("header", "Content-Type: application/json");
    option("user-agent", "mlx-tree");
    option("data-binary", &body.to_string());
    option("proto", "=https");
    option("noproxy", "*");
    option("connect-timeout", "5");
    option("max-time", "9");
    option("output", "/dev/null");
    option("write-out", "%{http_code}");
    text.push_str("silent\ngloboff\n");
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_quote_in_a_notice_ends_no_option() {
        let text = configuration(&Url::new("https://a/b"), &json!({ "text": "\"\noutput = \"/etc/passwd" }));
        let line = text.lines().find(|line| line.starts_with("data-binary")).expect("the body");
        assert_eq!(line, r#"data-binary = "{\"text\":\"\\\"\\noutput = \\\"/etc/passwd\"}""#);
        assert_eq!(
            text.lines().filter(|line| line.starts_with("output")).collect::<Vec<_>>(),
            ["output = \"/dev/null\""]
        );
    }
}
