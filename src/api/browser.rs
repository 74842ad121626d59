//! Real Chromium on invented data: pages open clean, stay fast with ten thousand rows, and run no text of logs.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::fixture::rig::{Rig, rig};

/// What a log line of an attacker looks like, in every field that pages show.
const HOSTILE: &str = "</script><script>window.hurt=1</script><img src=x onerror=window.hurt=1>\
     <svg onload=window.hurt=1>\"'><a href=javascript:window.hurt=1>\u{202e}\u{0}\u{1b}[2J{{7*7}}${7*7}";

/// Serves the fixture and runs a part of `tests/browser/pages.mjs` against it.
async fn browse(part: &str, count: usize, hostile: Option<&str>) {
    let Rig {
        state,
        fixture,
        mut operations,
        ingest: _ingest,
    } = rig(count, hostile);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let token = CancellationToken::new();
    let server = tokio::spawn(super::serve(listener, state, token.clone()));
    let clock = Arc::clone(&fixture);
    let ticking = tokio::spawn(async move {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            seconds.tick().await;
            clock.tick.fetch_add(1, Ordering::Relaxed);
        }
    });
    let answering = tokio::spawn(async move {
        while let Some(request) = operations.recv().await {
            request.reply.send(Ok(())).ok();
        }
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/pages.mjs");
    let mut command = Command::new("node");
    command.arg(script).arg(part).env("FATALMONITOR_URL", url);
    let status = tokio::task::spawn_blocking(move || command.status())
        .await
        .unwrap()
        .expect("node can be started");
    ticking.abort();
    token.cancel();
    server.await.unwrap();
    answering.await.unwrap();
    assert!(status.success(), "pages.mjs {part}: {status}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node and Chromium: make test"]
async fn every_page_opens_clean_with_ten_thousand_signatures() {
    browse("clean", 10_000, None).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node and Chromium: make test"]
async fn hostile_text_runs_on_no_page() {
    browse("hostile", 40, Some(HOSTILE)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node and Chromium: make test"]
async fn pages_without_data_say_so() {
    browse("empty", 0, None).await;
}
