//! How long a client waits, as far as its headers say.

use std::time::Duration;

use hyper::HeaderMap;

/// Who says it: OpenAI's and Anthropic's SDKs the first two, proxies the last. All of them in seconds.
const HEADERS: [&str; 3] = ["x-stainless-timeout", "x-stainless-read-timeout", "x-request-timeout"];

/// Longer is no deadline: a year is further off than any timer has to reach.
const LONGEST: f64 = 365.0 * 24.0 * 3600.0;

/// After how long the client gives up: the shortest of what its headers say. What is no positive number of seconds says
/// nothing.
#[must_use]
pub fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let told = HEADERS.iter().flat_map(|name| headers.get_all(*name)).filter_map(|value| seconds(value.to_str().ok()?));
    told.min()
}

fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    // `f64` also reads "inf", "nan" and "1e3", which no client of these headers writes.
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = plain.then(|| text.parse().ok())??;
    (number > 0.0 && number <= LONGEST).then(|| Duration::from_secs_f64(number)).filter(|it| !it.is_zero())
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn of(told: &[(&'static str, &[u8])]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for (name, value) in told {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).expect("a value"));
        }
        deadline(&headers)
    }

    #[test]
    fn the_shortest_counts_wherever_it_stands() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("x-stainless-timeout", b"600")]), Some(Duration::from_secs(600)));
        let two: [(_, &[u8]); 2] = [("x-stainless-read-timeout", b"600"), ("x-request-timeout", b" 2.5 ")];
        assert_eq!(of(&two), Some(Duration::from_millis(2_500)));
        let twice: [(_, &[u8]); 2] = [("x-request-timeout", b"9"), ("x-request-timeout", b"3")];
        assert_eq!(of(&twice), Some(Duration::from_secs(3)));
    }

    #[test]
    fn what_is_no_positive_number_of_seconds_says_nothing() {
        let garbage: [&[u8]; 18] = [
            b"",
            b"0",
            b"0.0",
            b"-1",
            b"inf",
            b"nan",
            b"NaN",
            b"1e3",
            b"1,5",
            b"soon",
            b"5s",
            b".",
            b"1.2.3",
            b"\xff\xfe",
            b"999999999999999999999999999999",
            b"0.0000000000000001",
            b"None",
            b"0x10",
        ];
        for value in garbage {
            assert_eq!(of(&[("x-stainless-timeout", value)]), None, "{:?}", String::from_utf8_lossy(value));
            let beside = [("x-stainless-timeout", value), ("x-request-timeout", b"7".as_slice())];
            assert_eq!(of(&beside), Some(Duration::from_secs(7)));
        }
    }
}
