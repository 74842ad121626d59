//! The gate: asked without a trace, decided with one, and late data never passes.

use super::*;
use crate::detect::gate::Verdict;
use crate::telemetry::PartitionStatus;

#[tokio::test]
async fn a_preview_keeps_nothing_and_a_decision_gets_an_address() {
    let (router, rig) = setup(3);
    let Rig { mut operations, .. } = rig;
    let preview = get(&router, "/api/v1/gate?version=1.27.0-wmf.11&group=group0").await;
    assert_eq!(preview.status, StatusCode::OK);
    assert_eq!(preview.json()["verdict"], "fail");
    assert_eq!(preview.json()["permalink"], Value::Null);
    assert!(
        operations.try_recv().is_err(),
        "a preview asks for no change"
    );
    let answering = tokio::spawn(async move {
        let request = operations.recv().await.unwrap();
        request.reply.send(Ok(())).ok();
        request.operation
    });
    let body = json!({"version": "1.27.0-wmf.11", "group": "group0", "min_exposure": 50});
    let decided = post(&router, "/api/v1/gate", &body).await;
    assert_eq!(decided.status, StatusCode::CREATED, "{}", decided.text());
    let Operation::Gate(kept) = answering.await.unwrap() else {
        panic!("another operation")
    };
    assert_eq!((kept.verdict, kept.id.len()), (Verdict::Fail, 16));
    assert_eq!(kept.exposure.records_min, 50);
    let link = format!("/gate/{}", kept.id);
    assert_eq!(decided.json()["permalink"], link.as_str());
    let again = get(&router, &format!("/api/v1{link}")).await;
    assert_eq!(again.status, StatusCode::OK);
    let page = get(&router, &link).await;
    assert_eq!(page.status, StatusCode::OK);
    let none = get(&router, "/api/v1/gate/nothing").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn late_data_makes_a_pass_inconclusive_but_not_a_question_about_the_past() {
    let (router, rig) = setup(3);
    let url = "/api/v1/gate?version=1.27.0-wmf.10";
    assert_eq!(get(&router, url).await.json()["verdict"], "pass");
    write(&rig.state.status).partitions = vec![PartitionStatus {
        topic: "mediawiki".into(),
        assigned: true,
        lag_seconds: Some(600.0),
        ..PartitionStatus::default()
    }];
    let late = get(&router, url).await.json();
    assert_eq!(late["verdict"], "inconclusive");
    assert_eq!(late["reasons"][0]["rule"], "lag");
    let past = get(&router, &format!("{url}&at=2016-01-19T23:50:00Z")).await;
    assert_eq!(past.json()["verdict"], "pass");
    for wrong in ["/api/v1/gate", "/api/v1/gate?version=1&at=noon"] {
        let answer = get(&router, wrong).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}
