//! Live updates.

use std::time::Duration;

use tokio_stream::StreamExt as _;

use super::*;

/// Reads events of a stream until one of this kind comes.
async fn next_event(body: &mut axum::body::BodyDataStream, kind: &str) -> String {
    let wanted = format!("event: {kind}\n");
    loop {
        let chunk = tokio::time::timeout(Duration::from_mins(1), body.next()).await;
        let text = String::from_utf8(chunk.unwrap().unwrap().unwrap().to_vec()).unwrap();
        if text.contains(&wanted) {
            return text;
        }
    }
}

async fn open_stream(router: &Router, last: Option<&str>) -> axum::body::BodyDataStream {
    let mut request = request("GET", "/api/v1/stream");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body().into_data_stream()
}

#[tokio::test]
async fn changed_rows_are_streamed_and_a_reader_that_comes_back_misses_none() {
    let (router, rig) = setup(40);
    let token = tokio_util::sync::CancellationToken::new();
    tokio::spawn(crate::api::feed::run(rig.state.clone(), token.clone()));
    let mut stream = open_stream(&router, None).await;
    // The first one greets, the second one is published after the first look at the rows.
    next_event(&mut stream, "health").await;
    next_event(&mut stream, "health").await;
    rig.fixture.tick.store(5, Ordering::Relaxed);
    let delta = next_event(&mut stream, "delta").await;
    let field = |name: &str| {
        delta
            .lines()
            .find_map(|it| it.strip_prefix(name))
            .unwrap()
            .trim()
            .to_owned()
    };
    let data: Value = serde_json::from_str(&field("data:")).unwrap();
    let changed = data["rows"].as_array().unwrap().len();
    assert!((1..=40).contains(&changed));
    let last = field("id:");

    rig.fixture.tick.store(9, Ordering::Relaxed);
    next_event(&mut stream, "delta").await;
    let mut again = open_stream(&router, Some(&last)).await;
    let missed = next_event(&mut again, "delta").await;
    assert!(missed.contains("id:"));
    assert!(!missed.contains(&format!("id: {last}\n")));

    let mut stranger = open_stream(&router, Some("17-3")).await;
    next_event(&mut stranger, "reset").await;

    let markers = rig.fixture.markers.lock().unwrap()[0].clone();
    rig.fixture.markers.lock().unwrap().push(markers);
    next_event(&mut stream, "deploy").await;

    token.cancel();
    let rest = tokio::time::timeout(Duration::from_mins(1), async {
        while again.next().await.is_some() {}
    });
    rest.await.expect("streams end when the process stops");
}
