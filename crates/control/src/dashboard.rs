//! The dashboard: a few files that are built into the program, and how they are handed out.
//!
//! They are read-only and hold no secret, so whoever gets past the door may have them. What the page shows it fetches itself,
//! and the token that its verbs need is typed into it; none is ever in an address.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

/// Nothing from elsewhere, nothing inline, nothing that reads markup, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// One file of the page.
#[derive(Debug, Clone, Copy)]
struct Asset<'a> {
    path: &'static str,
    kind: &'static str,
    text: &'a str,
}

macro_rules! assets {
    ($($path:literal $kind:ident $file:literal),+ $(,)?) => {
        [$(Asset { path: $path, kind: $kind, text: include_str!(concat!("../assets/", $file)) }),+]
    };
}

const ASSETS: &[Asset<'static>] = &assets![
    "/" HTML "index.html",
    "/assets/icon.svg" IMAGE "icon.svg",
    "/assets/style.css" CSS "style.css",
    "/assets/parts.css" CSS "parts.css",
    "/assets/app.js" SCRIPT "app.js",
    "/assets/dom.js" SCRIPT "dom.js",
    "/assets/events.js" SCRIPT "events.js",
    "/assets/format.js" SCRIPT "format.js",
    "/assets/glyphs.js" SCRIPT "glyphs.js",
    "/assets/hero.js" SCRIPT "hero.js",
    "/assets/link.js" SCRIPT "link.js",
    "/assets/model.js" SCRIPT "model.js",
    "/assets/narrate.js" SCRIPT "narrate.js",
    "/assets/operator.js" SCRIPT "operator.js",
    "/assets/plots.js" SCRIPT "plots.js",
    "/assets/restarts.js" SCRIPT "restarts.js",
    "/assets/say.js" SCRIPT "say.js",
    "/assets/strings.js" SCRIPT "strings.js",
    "/assets/timeline.js" SCRIPT "timeline.js",
    "/assets/tree.js" SCRIPT "tree.js",
    "/assets/vitals.js" SCRIPT "vitals.js",
];

/// The sentences of mlx-tree in Russian, as a module: what the server says is said on the page as everywhere else.
const PHRASES: &str = "/assets/phrases.js";

/// A route for each file.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let phrases: Arc<str> = phrases().into();
    let router = ASSETS.iter().fold(Router::new(), |router, asset| {
        let tag = asset.tag();
        router.route(asset.path, get(move |headers: HeaderMap| async move { asset.answer(&tag, &headers) }))
    });
    let tag = Asset { path: PHRASES, kind: SCRIPT, text: &phrases }.tag();
    router.route(
        PHRASES,
        get(move |headers: HeaderMap| async move {
            Asset { path: PHRASES, kind: SCRIPT, text: &phrases }.answer(&tag, &headers)
        }),
    )
}

fn phrases() -> String {
    let pairs: Vec<_> = mlx_tree_language::phrases().collect();
    // What is JSON is JavaScript too.
    format!("export const RU = {};\n", serde_json::json!(pairs))
}

// === impl Asset ===

impl Asset<'_> {
    /// Names the content: another content has another name (FNV-1a, which is no secret and keeps none).
    fn tag(self) -> String {
        let hash = self
            .text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        format!("\"{hash:016x}\"")
    }

    fn answer(self, tag: &str, request: &HeaderMap) -> Response {
        let mut headers = HeaderMap::new();
        let fixed: [(HeaderName, &'static str); 6] = [
            (header::CONTENT_TYPE, self.kind),
            (header::CACHE_CONTROL, "no-cache"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Ok(tag) = HeaderValue::from_str(tag) {
            headers.insert(header::ETAG, tag);
        }
        if is_known(request, tag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (StatusCode::OK, headers, self.text.to_owned()).into_response()
    }
}

/// Whether the asking one has it already, under the tag that it has now.
fn is_known(request: &HeaderMap, tag: &str) -> bool {
    let known = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known.flat_map(|list| list.split(',')).map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module that is imported and not handed out would be a blank page.
    #[test]
    fn whatever_a_file_names_is_handed_out() {
        let mut named = 0;
        for asset in ASSETS {
            let quoted = asset.text.split('"').skip(1).step_by(2);
            let paths = quoted.filter_map(|text| text.strip_prefix("./").or_else(|| text.strip_prefix("/assets/")));
            for file in paths.filter(|file| file.contains('.')) {
                named += 1;
                let path = format!("/assets/{file}");
                assert!(path == PHRASES || ASSETS.iter().any(|it| it.path == path), "{} names {path}", asset.path);
            }
        }
        assert!(named > 20, "only {named} names were seen");
    }

    #[test]
    fn nothing_stands_inline_and_nothing_reads_markup() {
        for asset in ASSETS {
            for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
                assert!(!asset.text.contains(word), "{}: {word}", asset.path);
            }
            for word in ["style=", "<style", "javascript:", "https://", " onclick="] {
                assert!(asset.kind != HTML || !asset.text.contains(word), "{}: {word}", asset.path);
            }
        }
    }

    #[test]
    fn whoever_has_a_file_already_is_told_so_and_nothing_else() {
        let first = ASSETS[0].answer(&ASSETS[0].tag(), &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        for (name, wanted) in
            [("content-type", HTML), ("cache-control", "no-cache"), ("content-security-policy", POLICY)]
        {
            assert_eq!(first.headers()[name], wanted, "{name}");
        }
        let again = HeaderMap::from_iter([(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone())]);
        let second = ASSETS[0].answer(&ASSETS[0].tag(), &again);
        assert_eq!((second.status(), second.headers()), (StatusCode::NOT_MODIFIED, first.headers()));
        assert_ne!(ASSETS[0].tag(), ASSETS[1].tag());
    }

    #[test]
    fn a_tag_is_known_alone_in_a_list_and_weakly() {
        let asked =
            |value: &'static str| HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(value))]);
        for known in ["\"a\"", "\"b\", \"a\"", "W/\"a\"", "*"] {
            assert!(is_known(&asked(known), "\"a\""), "{known}");
        }
        assert!(!is_known(&asked("\"b\""), "\"a\"") && !is_known(&HeaderMap::new(), "\"a\""));
    }
}
