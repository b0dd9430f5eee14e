//! Who may ask: names, pages and tokens.

use mlx_tree_gateway::front::{FrontConfig, Tokens};

use crate::stand::Stand;

/// S2.
#[tokio::test]
async fn a_foreign_host_is_refused_before_anything_else() {
    let stand = Stand::new().await;
    let port = stand.address.port();
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        let answer = stand.ask(&format!("GET /health HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n")).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    for fields in [
        String::new(),
        "Host: HOST\r\nHost: HOST\r\n".to_owned(),
        "Host:\r\n".to_owned(),
        "Host: localhost\r\n".to_owned(),
        format!("Host: localhost.:{port}\r\n"),
        format!("Host: LOCALHOST:{port}\r\n"),
        format!("Host: a@localhost:{port}\r\n"),
        format!("Host: 127.0.0.1.evil.tld:{port}\r\n"),
        format!("Host: evil.tld:{port}\r\nX-Forwarded-Host: localhost:{port}\r\n"),
    ] {
        for path in ["/health", "/nowhere", "/hold"] {
            let answer = stand.ask(&format!("GET {path} HTTP/1.1\r\n{fields}\r\n")).await;
            answer.assert_refused(403, "host_not_allowed");
        }
    }
    let absolute = format!("GET http://evil.tld:{port}/health HTTP/1.1\r\nHost: HOST\r\n\r\n");
    stand.ask(&absolute).await.assert_refused(400, "malformed_request");
    assert_eq!(stand.calls(), 3);
}

/// S3.
#[tokio::test]
async fn a_web_page_asks_only_if_it_is_on_the_list() {
    let stand =
        Stand::with(FrontConfig { origins: vec!["http://page.tld".to_owned()], ..FrontConfig::default() }).await;
    for fields in ["Origin: http://evil.tld\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        for method in ["GET", "OPTIONS", "POST"] {
            let request = format!(
                "{method} /health HTTP/1.1\r\nHost: HOST\r\n{fields}Access-Control-Request-Method: POST\r\n\r\n"
            );
            let answer = stand.ask(&request).await;
            answer.assert_refused(403, "origin_not_allowed");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    let page = "Host: HOST\r\nOrigin: http://page.tld\r\nSec-Fetch-Site: cross-site\r\n";
    let ask = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,content-type\r\n";
    let answer = stand.ask(&format!("OPTIONS /echo HTTP/1.1\r\n{page}{ask}\r\n")).await;
    assert_eq!(answer.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", "http://page.tld"),
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", "authorization,content-type"),
        ("vary", "origin"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{answer:?}");
    }
    for path in ["/health", "/nowhere"] {
        let answer = stand.ask(&format!("GET {path} HTTP/1.1\r\n{page}\r\n")).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("http://page.tld"), "errors too: {answer:?}");
    }
    let plain = stand.ask("OPTIONS /health HTTP/1.1\r\nHost: HOST\r\n\r\n").await;
    plain.assert_refused(405, "method_not_allowed");
}

/// S9.
#[tokio::test]
async fn without_a_token_everything_but_a_probe_is_the_same_401() {
    let config = FrontConfig {
        tokens: Tokens::new(["first", "second"]),
        origins: vec!["http://page.tld".to_owned()],
        ..FrontConfig::default()
    };
    let stand = Stand::with(config).await;
    let mut bodies = Vec::new();
    for fields in ["", "Authorization: Bearer third\r\n", "Authorization: Basic first\r\n", "X-Api-Key: first\r\n"] {
        for path in ["/empty", "/nowhere", "/echo"] {
            let answer = stand.ask(&format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n{fields}\r\n")).await;
            answer.assert_refused(401, "invalid_api_key");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            bodies.push(answer.body);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(stand.calls(), 0);
    for token in ["first", "second"] {
        let answer =
            stand.ask(&format!("GET /empty HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer {token}\r\n\r\n")).await;
        assert_eq!(answer.status, 204);
    }
    assert_eq!(stand.ask("GET /health HTTP/1.1\r\nHost: HOST\r\n\r\n").await.status, 200, "a probe needs none");
    let preflight = "OPTIONS /echo HTTP/1.1\r\nHost: HOST\r\nOrigin: http://page.tld\r\nAccess-Control-Request-Method: POST\r\n\r\n";
    assert_eq!(stand.ask(preflight).await.status, 204, "a browser asks without the token");
}
