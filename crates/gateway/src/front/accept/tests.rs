//! Who is given up when descriptors run out, and how many.

use std::sync::atomic::AtomicUsize;

use futures_util::future::{BoxFuture, FutureExt as _, ready};
use hyper::Response;
use hyper::http::request::Parts;

use super::super::terms::Book;
use super::super::{FrontConfig, Incoming, Route, Service};
use super::*;
use crate::Refusal;
use crate::answer::Body;

struct Quiet;

impl Service for Quiet {
    fn route(&self, _: &Parts) -> Result<Route, Refusal> {
        Ok(Route::Probe)
    }

    fn call(&self, _: Incoming) -> BoxFuture<'_, Response<Body>> {
        ready(Response::new(Body::empty())).boxed()
    }
}

/// So many open connections without a request, with their clients.
async fn idle(count: usize) -> (Connections, Vec<TcpStream>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let core = Core {
        terms: Book::new(watch::Sender::new(FrontConfig::default()).subscribe(), address),
        service: Arc::new(Quiet),
        budget: Arc::default(),
        signals: Arc::default(),
        at_work: AtomicUsize::new(0),
    };
    let (mut connections, mut clients) = (Connections::new(Arc::new(core)), Vec::new());
    for _ in 0..count {
        clients.push(TcpStream::connect(address).await.expect("connected"));
        let (stream, peer) = listener.accept().await.expect("accepted");
        connections.admit(stream, peer);
    }
    (connections, clients)
}

fn out_of_descriptors() -> io::Error {
    io::Error::from_raw_os_error(24)
}

/// A connection that is given up has its descriptor until its task is dropped, and that may be a while on a busy machine.
#[tokio::test]
async fn accepting_that_fails_again_before_those_given_up_have_gone_takes_nobody_else() {
    let (mut connections, _clients) = idle(3 * SPARE).await;
    for _ in 0..5 {
        connections.failed(&out_of_descriptors());
        assert_eq!((connections.links.len(), connections.leaving), (2 * SPARE, SPARE));
    }
    // One has gone, and that was not enough: another one takes its place.
    let gone = connections.tasks.join_next_with_id().await.expect("they end");
    connections.ended(gone);
    assert_eq!((connections.links.len(), connections.leaving), (2 * SPARE, SPARE - 1));
    connections.failed(&out_of_descriptors());
    assert_eq!((connections.links.len(), connections.leaving), (2 * SPARE - 1, SPARE));
}

#[tokio::test]
async fn one_that_ends_by_itself_is_none_of_those_given_up() {
    let (mut connections, mut clients) = idle(SPARE + 1).await;
    drop(clients.pop());
    let gone = connections.tasks.join_next_with_id().await.expect("it ends");
    connections.failed(&out_of_descriptors());
    connections.ended(gone);
    assert_eq!((connections.links.len(), connections.leaving), (0, SPARE));
}
