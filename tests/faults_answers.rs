//! A server that is up, and whose answers are none: broken off, malformed, silent. Nothing of it passes for an answer.

mod support;

use serde_json::json;
use support::gateway::{Address, End, plain, sampled, streamed, with};
use support::{Instance, Setup};

/// A tree whose server does this to every request but the canary of its start.
async fn faulty(flags: &[&str]) -> (Instance, Address) {
    tree(faults(flags)).await
}

/// The same with a gateway that soon gives up a server which says nothing. Only for a server that stays silent: one that is
/// just slow, as on a busy machine, is given up as well.
async fn silent(flags: &[&str]) -> (Instance, Address) {
    tree(faults(flags).set("gateway.stall_timeout", "1s")).await
}

fn faults(flags: &[&str]) -> Setup {
    Setup::demo(&[flags, &["--from-request", "2"]].concat())
}

async fn tree(setup: Setup) -> (Instance, Address) {
    let tree = setup.start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    (tree, gateway)
}

/// The very server of the beginning serves, and nobody waits or is in flight.
async fn unmoved(tree: Instance) {
    tree.balanced().await;
    let status = tree.ready(1).await;
    assert_eq!((status.restart_count, status.server.epoch), (0, 1), "{}", tree.log());
    tree.stop().await;
}

#[tokio::test]
async fn f54_a_connection_that_ends_before_an_answer_is_an_error_and_no_replay_as_long_as_the_server_lives() {
    for flags in [&["--close-at", "header"][..], &["--close-at", "in-header"], &["--close-at", "header", "--reset"]] {
        let tree =
            Setup::demo(&[flags, &["--from-request", "2", "--until-request", "3", "--control"]].concat()).start();
        tree.ready(1).await;
        let gateway = tree.gateway().await;
        let (plain, streamed) = (plain("one"), streamed("two"));
        let (one, two) = tokio::join!(gateway.ask(&plain), gateway.ask(&streamed));
        one.refused(502, "bad_upstream_response");
        two.refused(502, "bad_upstream_response");
        assert_eq!(support::gateway::count(&tree.stats().await, "chats"), 2, "these, {flags:?}");
        gateway.ask(&plain).await.whole();
        unmoved(tree).await;
    }
}

#[tokio::test]
async fn f55_a_whole_answer_of_the_wrong_length_or_that_is_no_json_is_none() {
    // With log probabilities the server is asked for a whole answer, since its streams have none.
    let whole = with(plain("three"), "logprobs", true);
    for flags in [&["--length-off", "10"][..], &["--length-off", "-10"], &["--bad-json"], &["--html"]] {
        let (tree, gateway) = faulty(flags).await;
        gateway.ask(&whole).await.refused(502, "bad_upstream_response");
        unmoved(tree).await;
    }
    // The same request at a proper server, so that it is the fault that is refused.
    let (tree, gateway) = faulty(&[]).await;
    gateway.ask(&whole).await.whole();
    unmoved(tree).await;
}

#[tokio::test]
async fn f55_a_stream_that_begins_with_something_else_is_an_error_with_a_status() {
    for flags in [&["--bad-json"][..], &["--html"], &["--close-at", "body"]] {
        let (tree, gateway) = faulty(flags).await;
        let (plain, streamed) = (plain("four"), streamed("five"));
        let (one, two) = tokio::join!(gateway.ask(&plain), gateway.ask(&streamed));
        one.refused(502, "bad_upstream_response");
        two.refused(502, "bad_upstream_response");
        unmoved(tree).await;
    }
}

#[tokio::test]
async fn f35_what_fails_in_generation_is_not_blamed_on_the_client_and_what_the_client_did_is() {
    for (flags, status, code) in [
        (&["--all-404"][..], 502, "bad_upstream_response"),
        (&["--status", "500"], 502, "bad_upstream_response"),
        (&["--status", "429"], 502, "bad_upstream_response"),
        (&["--status", "400"], 400, "invalid_parameter"),
        (&["--status", "422"], 400, "invalid_parameter"),
    ] {
        let (tree, gateway) = faulty(flags).await;
        for body in [plain("six"), streamed("seven")] {
            gateway.ask(&body).await.refused(status, code);
        }
        unmoved(tree).await;
    }
}

#[tokio::test]
async fn f56_a_finish_reason_without_done_is_a_whole_answer_and_neither_is_a_cut_one() {
    let (tree, gateway) = faulty(&["--no-done"]).await;
    for body in [plain("eight"), streamed("nine"), sampled("ten")] {
        gateway.ask(&body).await.whole();
    }
    unmoved(tree).await;

    let (tree, gateway) = faulty(&["--no-finish"]).await;
    let (plain, streamed, sampled) = (plain("eight"), streamed("nine"), sampled("ten"));
    let answers = tokio::join!(gateway.ask(&plain), gateway.ask(&streamed), gateway.ask(&sampled));
    answers.0.refused(502, "bad_upstream_response");
    assert!(!answers.1.cut("bad_upstream_response").is_empty());
    assert!(!answers.2.cut("bad_upstream_response").is_empty());
    unmoved(tree).await;
}

#[tokio::test]
async fn f57_events_may_be_cut_up_and_marked_in_any_way() {
    for flags in [&["--split-utf8"][..], &["--crlf"], &["--no-space"], &["--crlf", "--no-space", "--split-utf8"]] {
        let (tree, gateway) = faulty(flags).await;
        let one = gateway.ask(&plain("eleven")).await.whole();
        let two = gateway.ask(&streamed("eleven")).await.whole();
        assert_eq!(one, two);
        assert_eq!(one.is_ascii(), !flags.contains(&"--split-utf8"), "{one}");
        unmoved(tree).await;
    }
}

#[tokio::test]
async fn f57_an_event_that_is_no_json_ends_a_stream_with_an_error() {
    let (tree, gateway) = faulty(&["--garbage", "3"]).await;
    gateway.ask(&plain("twelve")).await.refused(502, "bad_upstream_response");
    let text = gateway.ask(&streamed("thirteen")).await.cut("bad_upstream_response");
    assert_eq!(text.split(' ').count(), 3, "{text}");
    unmoved(tree).await;
}

#[tokio::test]
async fn f57_a_line_of_five_megabytes_is_passed_on_and_one_that_is_too_large_is_an_error() {
    let (tree, gateway) = faulty(&["--big-line", "5000000", "--answer-tokens", "3"]).await;
    let one = gateway.ask(&plain("fourteen")).await.whole();
    let two = gateway.ask(&streamed("fourteen")).await.whole();
    assert!(one == two && one.len() > 5_000_000, "{} and {} bytes", one.len(), two.len());
    unmoved(tree).await;

    let (tree, gateway) = faulty(&["--big-line", "6000000", "--answer-tokens", "3"]).await;
    gateway.ask(&plain("fourteen")).await.refused(502, "bad_upstream_response");
    gateway.ask(&streamed("fourteen")).await.cut("bad_upstream_response");
    unmoved(tree).await;
}

#[tokio::test]
async fn f58_what_comes_after_the_end_is_nobodys() {
    for flags in [&["--double-done"][..], &["--data-after-done"]] {
        let (tree, gateway) = faulty(flags).await;
        let one = gateway.ask(&plain("fifteen")).await.whole();
        let answer = gateway.ask(&streamed("fifteen")).await;
        assert_eq!(answer.whole(), one);
        assert_eq!(answer.events.iter().filter(|event| *event == "[DONE]").count(), 1, "{flags:?}");
        unmoved(tree).await;
    }
}

#[tokio::test]
async fn f58_an_error_inside_a_stream_is_passed_on_as_one_and_ends_it() {
    let (tree, gateway) = faulty(&["--error-in-stream", "3"]).await;
    let answer = gateway.ask(&streamed("sixteen")).await;
    let chunks = answer.chunks();
    let (error, before) = chunks.split_last().expect("there are some");
    assert_eq!(error["error"]["message"], json!("the stand-in was told to fail here"));
    for key in ["message", "type", "param", "code"] {
        assert!(error["error"].as_object().expect("an object").contains_key(key), "{error}");
    }
    assert_eq!((before.len(), answer.end, answer.is_success()), (3, End::Cut, false), "{answer:#?}");
    let answer = gateway.ask(&plain("seventeen")).await;
    answer.refused(502, "bad_upstream_response");
    assert!(answer.body.contains("the stand-in was told to fail here"), "{answer:#?}");
    unmoved(tree).await;

    let (tree, gateway) = faulty(&["--error-in-stream", "1"]).await;
    assert_eq!(gateway.ask(&streamed("eighteen")).await.chunks().len(), 2);
    unmoved(tree).await;
}

#[tokio::test]
async fn f59_a_server_that_is_up_and_says_nothing_more_is_given_up_by_the_request_alone() {
    let (tree, gateway) = silent(&["--stall-after", "3"]).await;
    let (plain, streamed) = (plain("nineteen"), streamed("twenty"));
    let (one, two) = tokio::join!(gateway.ask(&plain), gateway.ask(&streamed));
    one.refused(504, "upstream_timeout");
    assert_eq!(two.cut("upstream_timeout").split(' ').count(), 3);
    unmoved(tree).await;

    let (tree, gateway) = silent(&["--headers-then-silence"]).await;
    let (one, two) = tokio::join!(gateway.ask(&plain), gateway.ask(&streamed));
    one.refused(504, "upstream_timeout");
    two.refused(504, "upstream_timeout");
    unmoved(tree).await;
}

#[tokio::test]
async fn f60_a_stream_that_is_reset_ends_with_an_error_and_is_not_generated_again() {
    for flags in [&["--close-at", "tokens:5", "--reset"][..], &["--close-at", "tokens:5"]] {
        let (tree, gateway) = faulty(flags).await;
        let (plain, streamed, sampled) = (plain("a"), streamed("b"), sampled("c"));
        let answers = tokio::join!(gateway.ask(&plain), gateway.ask(&streamed), gateway.ask(&sampled));
        answers.0.refused(502, "bad_upstream_response");
        for text in [answers.1.cut("bad_upstream_response"), answers.2.cut("bad_upstream_response")] {
            assert!((1..=5).contains(&text.split(' ').count()), "a reset may take the last ones with it: {text}");
        }
        unmoved(tree).await;
    }
}
