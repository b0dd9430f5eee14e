//! F74: those who only look on, in numbers: the clients of the servers do not notice, and the operator gets in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use mlx_tree_control::Verb;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::gateway::plain;
use crate::support::{Setup, processes};

/// So many requests come from so many at once. Ten thousand take 20 s, for whoever asks too often is made to wait, and show
/// nothing more.
const REQUESTS: usize = 2_500;
const AT_ONCE: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f74_a_thousand_idle_sockets_and_thousands_of_questions_take_nothing_from_clients_and_operator() {
    let tree = Setup::demo(&[]).start();
    tree.ready(1).await;
    let gateway = tree.gateway().await;
    let control: SocketAddr = tree.access().url.trim_start_matches("http://").parse().expect("an address");
    gateway.ask(&plain("hello")).await.whole();
    let before = processes::resident(tree.pid());

    let idle = join_all((0..1000).map(|_| TcpStream::connect(control))).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let answered = Arc::new(AtomicUsize::new(0));
    let flood: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (asked, answered) = (Arc::clone(&asked), Arc::clone(&answered));
            tokio::spawn(async move {
                loop {
                    let number = asked.fetch_add(1, Ordering::SeqCst);
                    if number >= REQUESTS {
                        return;
                    }
                    let path = if number.is_multiple_of(2) { "/metrics" } else { "/status" };
                    if ask(control, path).await.is_some() {
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();

    // Meanwhile every client of the server is answered, and so is every word of the operator.
    let mut served = 0;
    while served < 40 || asked.load(Ordering::SeqCst) < REQUESTS {
        gateway.ask(&plain("hello")).await.whole();
        served += 1;
        if served % 20 == 0 {
            tree.client().status().await.expect("its owner is answered");
        }
    }
    tree.perform(Verb::Restart).await.expect("its owner is obeyed");
    join_all(flood).await;
    assert!(answered.load(Ordering::SeqCst) > 0, "some of the flood is answered");
    let grown = processes::resident(tree.pid()).saturating_sub(before);
    assert!(grown < 16 << 20, "mlx-tree grew by {grown} bytes");
    assert_eq!(tree.status().await.restart_count, 0, "no server went down of it");
    drop(idle);
    tree.stop().await;
}

/// The first bytes of an answer, if there is one.
async fn ask(control: SocketAddr, path: &str) -> Option<[u8; 12]> {
    let mut socket = TcpStream::connect(control).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {control}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.ok()?;
    let mut head = [0; 12];
    socket.read_exact(&mut head).await.ok()?;
    Some(head)
}
