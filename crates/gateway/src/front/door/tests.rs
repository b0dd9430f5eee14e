//! Every way to pretend that was tried.

use super::*;

fn headers(given: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    headers
}

fn door(address: &str) -> Door {
    let config = FrontConfig {
        hosts: ["mac.local", "api.example:443", "[fd00::1]"].map(str::to_owned).to_vec(),
        origins: vec!["http://localhost:3000".to_owned()],
        ..FrontConfig::default()
    };
    Door::new(&config, address.parse().expect("an address"))
}

/// S2.
#[test]
fn only_the_exact_name_and_port_open_the_door() {
    let door = door("127.0.0.1:8080");
    let admit = |host: &str| door.admit(&headers(&[("host", host)])).is_ok();
    for host in
        ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "mac.local:8080", "api.example:443", "[fd00::1]:8080"]
    {
        assert!(admit(host), "{host}");
    }
    for host in [
        "",
        "localhost",
        "127.0.0.1",
        "localhost:80",
        "localhost:8081",
        "LOCALHOST:8080",
        "Localhost:8080",
        "localhost.:8080",
        "127.0.0.1.:8080",
        "127.0.0.1.evil.tld:8080",
        "localhost.evil.tld:8080",
        "evil.tld:8080",
        "user@localhost:8080",
        "localhost:8080@evil.tld",
        "localhost:8080 ",
        "localhost:8080,evil.tld",
        "localhost:08080",
        "localhost:8080:8080",
        "127.1:8080",
        "2130706433:8080",
        "0.0.0.0:8080",
        "127.0.0.2:8080",
        "::1:8080",
        "[::1%lo]:8080",
        "[0:0:0:0:0:0:0:1]:8080",
        "localhost:8080/",
        "http://localhost:8080",
        "api.example",
        "api.example:8080",
        "é:8080",
    ] {
        assert!(!admit(host), "{host}");
    }
    assert!(door.admit(&headers(&[])).is_err(), "none");
    let twice = [("host", "localhost:8080"), ("host", "localhost:8080")];
    assert!(door.admit(&headers(&twice)).is_err(), "twice");
}

#[test]
fn the_port_may_be_absent_only_when_it_is_80() {
    let door = door("192.168.1.2:80");
    for host in ["localhost", "localhost:80", "192.168.1.2", "192.168.1.2:80", "mac.local"] {
        assert!(door.admit(&headers(&[("host", host)])).is_ok(), "{host}");
    }
    assert!(door.admit(&headers(&[("host", "api.example")])).is_err());
}

/// S3.
#[test]
fn a_page_that_is_not_on_the_list_is_refused() {
    let door = door("127.0.0.1:8080");
    let admit = |more: &[(&str, &str)]| door.admit(&headers(&[&[("host", "localhost:8080")], more].concat()));
    assert_eq!(admit(&[]), Ok(None));
    let page = Page(HeaderValue::from_static("http://localhost:3000"));
    assert_eq!(admit(&[("origin", "http://localhost:3000")]), Ok(Some(page.clone())));
    let listed = [("origin", "http://localhost:3000"), ("sec-fetch-site", "cross-site")];
    assert_eq!(admit(&listed), Ok(Some(page)), "the list knows better than the browser");
    assert_eq!(admit(&[("sec-fetch-site", "same-origin")]), Ok(None));
    assert_eq!(admit(&[("sec-fetch-site", "none")]), Ok(None));
    for refused in [
        &[("origin", "http://localhost:8080")][..],
        &[("origin", "http://localhost:3000/")],
        &[("origin", "https://localhost:3000")],
        &[("origin", "HTTP://localhost:3000")],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", "http://localhost:3000"), ("origin", "http://localhost:3000")],
        &[("origin", "http://localhost:3000, http://evil.tld")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
    ] {
        let refusal = admit(refused).expect_err("refused");
        assert_eq!(refusal.code, Code::OriginNotAllowed, "{refused:?}");
    }
}

/// S9.
#[test]
fn without_tokens_anybody_may_ask_and_with_them_only_who_knows_one() {
    let open = Door::new(&FrontConfig::default(), ([127, 0, 0, 1], 1).into());
    assert_eq!(open.authorise(None), Ok(()));
    let config = FrontConfig { tokens: Tokens::new(["one", "two"]), ..FrontConfig::default() };
    let door = Door::new(&config, ([127, 0, 0, 1], 1).into());
    assert_eq!(door.authorise(Some(&Fingerprint::of(b"two"))), Ok(()));
    let none = door.authorise(None).expect_err("no token");
    assert_eq!(door.authorise(Some(&Fingerprint::of(b"three"))), Err(none), "the same words for both");
}
