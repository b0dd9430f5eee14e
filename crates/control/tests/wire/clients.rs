//! The asking end, over sockets.

use mlx_tree_api::ServerState;
use mlx_tree_control::{Access, Client, ClientError, Events, Heard, Token, Verb};

use crate::plane::{Plane, event, plane};

#[tokio::test]
async fn the_same_user_needs_no_configuration() {
    let plane = plane().await;
    let dir = tempfile::tempdir().expect("a directory");
    let absent = Client::from_state_dir(dir.path()).expect_err("nobody is there yet");
    assert!(matches!(absent, ClientError::Access(_)), "{absent}");

    let access = Access { url: format!("http://{}", plane.address), pid: 42, token: plane.token.clone() };
    access.publish(dir.path()).expect("published");
    let client = Client::from_state_dir(dir.path()).expect("found");
    assert_eq!(client.status().await.expect("answered").state, ServerState::Running);
    assert_eq!(client.perform(Verb::Restart).await.expect("done").verb, Verb::Restart);
    let refused = client.perform(Verb::Reset).await.expect_err("refused");
    assert_eq!(refused.to_string(), "nothing has failed");

    let last = client.logs(2, false).await.expect("answered").text().await.expect("whole");
    assert_eq!(last, "two\nthree\n");
    let mut following = client.logs(1, true).await.expect("answered");
    assert_eq!(following.chunk().await.expect("read").expect("a line"), "three\n");
    plane.lines.send("four".to_owned()).expect("somebody listens");
    assert_eq!(following.chunk().await.expect("read").expect("a line"), "four\n");
}

#[tokio::test]
async fn a_reader_of_events_goes_on_where_it_was_and_is_told_what_it_missed() {
    async fn heard(events: &mut Events) -> Heard {
        events.next().await.expect("understood").expect("more")
    }
    let (plane, dir) = (plane().await, tempfile::tempdir().expect("a directory"));
    let client = |plane: &Plane| {
        let access = Access { url: format!("http://{}", plane.address), pid: 42, token: plane.token.clone() };
        access.publish(dir.path()).expect("published");
        Client::from_state_dir(dir.path()).expect("found")
    };
    let mut events = client(&plane).events(1).await.expect("answered");
    for seq in 2..=3 {
        assert_eq!(heard(&mut events).await, Heard::Event(Box::new((*event(seq)).clone())));
    }
    plane.events.send(event(4)).expect("somebody listens");
    assert_eq!(heard(&mut events).await, Heard::Event(Box::new((*event(4)).clone())));
    // Another mlx-tree, which has not come so far, and then one that has.
    for from in [events.position(), 3.into()] {
        let other = crate::plane::plane().await;
        let run = format!("{from:?}");
        let mut again = client(&other).events(from).await.expect("answered");
        if run.contains("Some") {
            assert_eq!(heard(&mut again).await, Heard::Restarted);
            assert!(matches!(heard(&mut again).await, Heard::Event(event) if event.seq == 1));
        } else {
            other.events.send(event(4)).expect("somebody listens");
            assert!(matches!(heard(&mut again).await, Heard::Event(event) if event.seq == 4));
        }
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_told_as_such() {
    let dir = tempfile::tempdir().expect("a directory");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    Access { url: format!("http://{free}"), pid: 42, token: Token::random().expect("randomness") }
        .publish(dir.path())
        .expect("published");
    let error = Client::from_state_dir(dir.path()).expect("found").status().await.expect_err("nobody is there");
    assert_eq!(error.to_string(), format!("mlx-tree (pid 42) does not answer at http://{free}"));
}
