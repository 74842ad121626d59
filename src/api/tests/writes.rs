//! Operations and posted lines: queued, bounded, answered after the commit.

use super::*;

/// Answers every operation with the same result and returns what was asked.
fn answer_operations(
    rig: Rig,
    result: Result<(), OperationError>,
) -> tokio::task::JoinHandle<Vec<Operation>> {
    let Rig {
        mut operations,
        state,
        ..
    } = rig;
    drop(state);
    tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(request) = operations.recv().await {
            seen.push(request.operation);
            request.reply.send(result.clone()).ok();
        }
        seen
    })
}

#[tokio::test]
async fn operations_are_answered_after_the_commit_with_what_it_said() {
    let marker = json!({"id": "wmf.11-group2", "at": "2016-01-21T18:57:00Z", "kind": "deploy", "version": "1.27.0-wmf.11", "group": "group2"});
    let (router, rig) = setup(3);
    let seen = answer_operations(rig, Ok(()));
    assert_eq!(
        post(&router, "/api/v1/deploys", &marker).await.status,
        StatusCode::CREATED
    );
    let exposure = json!([{"t": 1_453_320_000, "version": "1.27.0-wmf.11", "group": "group1", "exposure": 1200.0}]);
    assert_eq!(
        post(&router, "/api/v1/exposure", &exposure).await.json(),
        json!({"stored": 1})
    );
    let mute = json!({"until": "version:1.27.0-wmf.12", "reason": "known"});
    assert_eq!(
        post(&router, "/api/v1/alerts/00ff/mute", &mute)
            .await
            .status,
        StatusCode::NO_CONTENT
    );
    let unmute = send(
        &router,
        request("DELETE", "/api/v1/alerts/00ff/mute")
            .body(Body::empty())
            .unwrap(),
    )
    .await;
    assert_eq!(unmute.status, StatusCode::NO_CONTENT);
    drop(router);
    let seen = seen.await.unwrap();
    assert_eq!(seen.len(), 4);
    let wanted = MuteRequest {
        subject: Subject::Alert("00ff".into()),
        until: MuteUntil::Version("1.27.0-wmf.12".into()),
        reason: "known".into(),
    };
    assert_eq!(seen[2], Operation::Mute(wanted));

    let (router, rig) = setup(3);
    answer_operations(
        rig,
        Err(OperationError::Unavailable("no space left".into())),
    );
    let answer = post(&router, "/api/v1/deploys", &marker).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers["retry-after"], "5");
    assert_eq!(answer.json()["error"], "no space left");
}

#[tokio::test]
async fn senseless_operations_are_refused_before_they_are_queued() {
    let (router, mut rig) = setup(3);
    for (path, body) in [
        (
            "/api/v1/deploys",
            json!({"id": "", "at": "2016-01-21T18:57:00Z", "kind": "deploy"}),
        ),
        (
            "/api/v1/deploys",
            json!({"id": "a\u{1b}b", "at": "2016-01-21T18:57:00Z", "kind": "deploy"}),
        ),
        (
            "/api/v1/deploys",
            json!({"id": "a", "at": "2016-01-21T18:57:00Z", "kind": "party"}),
        ),
        (
            "/api/v1/exposure",
            json!([{"t": 1, "version": "v", "group": "g", "exposure": -1.0}]),
        ),
        (
            "/api/v1/alerts/00ff/mute",
            json!({"until": "escalating", "reason": " "}),
        ),
        ("/api/v1/alerts/00ff/acknowledge", json!({"by": ""})),
    ] {
        let answer = post(&router, path, &body).await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{path} {body}"
        );
        assert!(answer.json()["error"].is_string());
    }
    assert!(rig.operations.try_recv().is_err());
}

#[tokio::test]
async fn lines_are_acknowledged_only_after_the_commit() {
    let (router, rig) = setup(3);
    let Rig {
        mut ingest, state, ..
    } = rig;
    drop(state);
    let packed = {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"{\"a\":1}\n{\"a\":2}\n").unwrap();
        encoder.finish().unwrap()
    };
    let request = request("POST", "/api/v1/ingest")
        .header("content-encoding", "gzip")
        .header("idempotency-key", "k1");
    let sent = tokio::spawn({
        let router = router.clone();
        async move { send(&router, request.body(Body::from(packed)).unwrap()).await }
    });
    let got = ingest.recv().await.unwrap();
    assert_eq!(got.lines, b"{\"a\":1}\n{\"a\":2}\n");
    assert_eq!(got.key.as_deref(), Some("k1"));
    assert!(!sent.is_finished());
    let receipt = IngestReceipt {
        read: 2,
        counted: 2,
        ..IngestReceipt::default()
    };
    got.reply.send(Ok(receipt)).unwrap();
    let answer = sent.await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["counted"], 2);
}

#[tokio::test]
async fn a_process_that_stops_before_the_commit_never_says_ok() {
    let (router, rig) = setup(3);
    let Rig { mut ingest, .. } = rig;
    let answer = tokio::join!(
        send(
            &router,
            request("POST", "/api/v1/ingest")
                .body(Body::from("x\n"))
                .unwrap()
        ),
        async { drop(ingest.recv().await) },
    )
    .0;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_full_queue_and_a_large_body_are_refused_with_a_hint() {
    let (router, rig) = setup(3);
    for _ in 0..2 {
        let request = request("POST", "/api/v1/ingest")
            .body(Body::from("x\n"))
            .unwrap();
        let router = router.clone();
        tokio::spawn(async move { send(&router, request).await });
    }
    while rig.ingest.len() < 2 {
        tokio::task::yield_now().await;
    }
    let full = send(
        &router,
        request("POST", "/api/v1/ingest")
            .body(Body::from("x\n"))
            .unwrap(),
    )
    .await;
    assert_eq!(full.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(full.headers["retry-after"], "1");

    let (router, _rig) = setup(3);
    let large = send(
        &router,
        request("POST", "/api/v1/ingest")
            .body(Body::from(vec![b'x'; (8 << 20) + 1]))
            .unwrap(),
    )
    .await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    let large = vec![b' '; (1 << 20) + 1];
    let request_large =
        request("POST", "/api/v1/deploys").header("content-type", "application/json");
    let answer = send(&router, request_large.body(Body::from(large)).unwrap()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_gzip_bomb_is_refused() {
    use std::io::Write as _;
    let (router, mut rig) = setup(3);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..80 {
        encoder.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    let request = request("POST", "/api/v1/ingest").header("content-encoding", "gzip");
    let answer = send(&router, request.body(Body::from(bomb)).unwrap()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(rig.ingest.try_recv().is_err());
}
