use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::model::{AlertId, AlertKey, AlertKind, AlertState, Evidence, Severity, SignatureId};

const NOW: &str = "2026-01-20T01:20:00Z";

fn fixed() -> EventTime {
    EventTime::parse_rfc3339(NOW).unwrap()
}

fn real() -> EventTime {
    EventTime::from_millis(jiff::Timestamp::now().as_millisecond())
}

fn alert(channel: &str, severity: Severity, state: AlertState, started_at: EventTime) -> Alert {
    let key = AlertKey {
        kind: AlertKind::New,
        service: "mediawiki".to_owned(),
        group: "group1".to_owned(),
        version: "1.27.0-wmf.11".to_owned(),
        channel: channel.to_owned(),
        signature: Some(SignatureId(0xfeed)),
        host: None,
    };
    Alert {
        id: AlertId::of(&key, started_at),
        key,
        severity,
        state,
        started_at,
        fired_at: started_at.plus_seconds(20),
        resolved_at: None,
        last_at: started_at.plus_seconds(20),
        template: "session <token> lost".to_owned(),
        summary: "New error on wmf.11: <!channel> session <token> lost".to_owned(),
        description: "340/min\nfrom 12 hosts".to_owned(),
        evidence: Evidence::default(),
        muted: None,
        withheld: None,
        owner: None,
        ticket: None,
    }
}

fn firing(channel: &str) -> Alert {
    alert(
        channel,
        Severity::Critical,
        AlertState::Firing,
        fixed().plus_seconds(-60),
    )
}

fn transitions(alerts: impl IntoIterator<Item = Alert>) -> Notice {
    let transitions = alerts
        .into_iter()
        .zip(1..)
        .map(|(alert, seq)| AlertTransition {
            seq,
            at: alert.fired_at,
            to: alert.state,
            alert,
        });
    Notice::Transitions(transitions.collect())
}

/// A request that the small server got.
#[derive(Clone, Debug)]
struct Request {
    path: String,
    headers: BTreeMap<String, String>,
    body: Value,
}

impl Request {
    /// Channels of the alerts in it, the watchdog as `-`.
    fn channels(&self) -> Vec<String> {
        self.body
            .as_array()
            .into_iter()
            .flatten()
            .map(|it| it["labels"]["channel"].as_str().unwrap_or("-").to_owned())
            .collect()
    }
}

/// Answers HTTP on a free port: status and body, or nothing at all for `None`.
async fn server(
    answer: impl Fn(&Request) -> Option<(u16, &'static str)> + Send + Sync + 'static,
) -> (String, mpsc::Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel(1000);
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (sender, answer) = (sender.clone(), Arc::clone(&answer));
            tokio::spawn(async move { serve(stream, &sender, &*answer).await });
        }
    });
    (url, receiver)
}

async fn serve(
    mut stream: TcpStream,
    requests: &mpsc::Sender<Request>,
    answer: &(dyn Fn(&Request) -> Option<(u16, &'static str)> + Send + Sync),
) {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|it| it.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers["content-length"].parse().unwrap();
    while bytes.len() < head_end + 4 + length {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let request = Request {
        path,
        headers,
        body: serde_json::from_slice(&bytes[head_end + 4..]).unwrap(),
    };
    let answered = answer(&request);
    requests.send(request).await.unwrap();
    let Some((status, body)) = answered else {
        // Hold the connection until the other side has had enough.
        while stream.read_buf(&mut bytes).await.unwrap_or(0) > 0 {}
        return;
    };
    let text = format!(
        "HTTP/1.1 {status} x\r\nLocation: /elsewhere\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// A running notifier, stopped with the test.
struct Running {
    notices: mpsc::Sender<Notice>,
    stats: Arc<NotifyStats>,
    token: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(config: &NotifyConfig, wall: fn() -> EventTime) -> Running {
    let notifier = Notifier::new(config, wall).unwrap();
    let (notices, receiver) = mpsc::channel(16);
    let token = CancellationToken::new();
    Running {
        notices,
        stats: notifier.stats(),
        task: tokio::spawn(notifier.run(receiver, token.clone())),
        token,
    }
}

fn quick(url: &str) -> NotifyConfig {
    NotifyConfig {
        alertmanagers: vec![TargetConfig {
            timeout: Duration::from_millis(300),
            ..TargetConfig::new(url)
        }],
        coalesce: Duration::from_millis(20),
        ..NotifyConfig::default()
    }
}

/// Waits for the first request that fits.
async fn expect(
    requests: &mut mpsc::Receiver<Request>,
    fits: impl Fn(&Request) -> bool,
) -> Request {
    let found = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let request = requests.recv().await.unwrap();
            if fits(&request) {
                return request;
            }
        }
    });
    found.await.expect("no such request came")
}

fn names(request: &Request, channel: &str) -> bool {
    request.channels().iter().any(|it| it == channel)
}

#[tokio::test]
async fn an_alert_is_told_with_the_labels_texts_and_times_of_the_contract() {
    let (url, mut requests) = server(|_| Some((200, ""))).await;
    let mut config = quick(&format!("{url}/am/"));
    config.external_url = Some("https://fm.example.org/base/".to_owned());
    config.runbook_url = Some("https://wiki.example.org/{alertname}".to_owned());
    config.logs_url = Some("https://logs.example.org/?q={channel}&from={from}".to_owned());
    config
        .external_labels
        .insert("site".to_owned(), "eqiad".to_owned());
    config.alertmanagers[0].auth = Auth::Basic {
        user: "u".to_owned(),
        password: Secret::new("p".to_owned()),
    };
    let running = start(&config, fixed);
    let mut told = firing("session");
    told.key.group = String::new();
    running.notices.send(transitions([told])).await.unwrap();
    let request = expect(&mut requests, |it| names(it, "session")).await;
    assert_eq!(request.path, "/am/api/v2/alerts");
    assert_eq!(request.headers["authorization"], "Basic dTpw");
    assert_eq!(request.headers["content-type"], "application/json");
    let page = "https://fm.example.org/base/s/0000000000000000000000000000feed\
                ?from=2026-01-20T00%3A49%3A00Z&to=2026-01-20T01%3A49%3A20Z";
    assert_eq!(
        request.body,
        json!([{
            "labels": {
                "alertname": "FatalmonitorNewError", "severity": "critical", "service": "mediawiki",
                "version": "1.27.0-wmf.11", "channel": "session",
                "signature": "0000000000000000000000000000feed", "site": "eqiad",
            },
            "annotations": {
                "summary": "New error on wmf.11: ‹!channel› session ‹token› lost",
                "description": "340/min\nfrom 12 hosts",
                "dashboard_url": page,
                "runbook_url": "https://wiki.example.org/FatalmonitorNewError",
                "logs_url": "https://logs.example.org/?q=session&from=2026-01-20T00%3A49%3A00Z",
            },
            "startsAt": "2026-01-20T01:19:00Z",
            "endsAt": "2026-01-20T01:24:00Z",
            "generatorURL": page,
        }])
    );
    running.token.cancel();
    running.task.await.unwrap();
    assert_eq!(running.stats.alertmanagers[0].queue_length(), 0);
    assert_eq!(running.stats.alertmanagers[0].last_success(), Some(fixed()));
}

#[tokio::test]
async fn the_watchdog_always_fires() {
    let (url, mut requests) = server(|_| Some((200, ""))).await;
    let mut config = quick(&url);
    config.resend = Duration::from_millis(50);
    let _running = start(&config, fixed);
    for _ in 0..3 {
        let request = expect(&mut requests, |it| names(it, "-")).await;
        assert_eq!(
            request.body[0]["labels"]["alertname"],
            "FatalmonitorWatchdog"
        );
        assert_eq!(request.body[0]["startsAt"], NOW);
    }
}

#[tokio::test]
async fn a_refused_alert_costs_no_good_one() {
    for (status, reason) in [(400, "invalid label"), (422, "generatorURL must be a URI")] {
        let (url, mut requests) = server(move |request| {
            Some(if names(request, "bad") {
                (status, reason)
            } else {
                (200, "")
            })
        })
        .await;
        let running = start(&quick(&url), fixed);
        let mut alerts: Vec<Alert> = (0..100).map(|it| firing(&format!("good{it}"))).collect();
        alerts.insert(37, firing("bad"));
        running.notices.send(transitions(alerts)).await.unwrap();
        let mut good = std::collections::BTreeSet::new();
        while good.len() < 100 {
            let request = expect(&mut requests, |it| !names(it, "bad")).await;
            assert!(request.channels().len() <= 64);
            good.extend(request.channels().into_iter().filter(|it| it != "-"));
        }
        let stats = &running.stats.alertmanagers[0];
        running.token.cancel();
        running.task.await.unwrap();
        assert_eq!((stats.refused(), stats.dropped()), (1, 0), "after {status}");
        assert_eq!(stats.queue_length(), 0);
    }
}

#[tokio::test]
async fn what_an_alertmanager_missed_is_told_when_it_is_back() {
    for failure in [Some((503, "down")), None, Some((307, ""))] {
        let asked = AtomicUsize::new(0);
        let (url, mut requests) = server(move |_| {
            if asked.fetch_add(1, Ordering::Relaxed) < 1 {
                failure
            } else {
                Some((200, ""))
            }
        })
        .await;
        let running = start(&quick(&url), fixed);
        running
            .notices
            .send(transitions([firing("session")]))
            .await
            .unwrap();
        let request = expect(&mut requests, |it| names(it, "session")).await;
        assert_eq!(request.path, "/api/v2/alerts", "no redirect is followed");
        assert_eq!(running.stats.alertmanagers[0].errors(), 1, "{failure:?}");
        running.token.cancel();
    }
}

#[tokio::test]
async fn a_new_severity_resolves_the_old_one_in_the_same_request() {
    let (url, mut requests) = server(|_| Some((200, ""))).await;
    let running = start(&quick(&url), fixed);
    let warning = Alert {
        severity: Severity::Warning,
        ..firing("session")
    };
    running.notices.send(transitions([warning])).await.unwrap();
    expect(&mut requests, |it| names(it, "session")).await;
    running
        .notices
        .send(transitions([firing("session")]))
        .await
        .unwrap();
    let request = expect(&mut requests, |it| names(it, "session")).await;
    let told: BTreeMap<&str, &str> = request
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["labels"]["severity"].as_str().unwrap(),
                it["endsAt"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        BTreeMap::from([("critical", "2026-01-20T01:24:00Z"), ("warning", NOW)])
    );
}

#[tokio::test]
async fn a_muted_alert_is_resolved_and_a_withheld_one_is_never_told() {
    let (url, mut requests) = server(|_| Some((200, ""))).await;
    let running = start(&quick(&url), fixed);
    let withheld = Alert {
        withheld: Some("storm".to_owned()),
        ..firing("flood")
    };
    running
        .notices
        .send(transitions([firing("session"), withheld]))
        .await
        .unwrap();
    let request = expect(&mut requests, |it| names(it, "session")).await;
    assert_eq!(request.channels(), ["session"]);
    let muted = Alert {
        muted: Some("for 1 h".to_owned()),
        ..firing("session")
    };
    running
        .notices
        .send(Notice::Active(vec![muted]))
        .await
        .unwrap();
    let request = expect(&mut requests, |it| names(it, "session")).await;
    assert_eq!(request.body[0]["endsAt"], NOW);
}

#[tokio::test]
async fn a_webhook_gets_every_transition_and_repeats_under_one_key() {
    let asked = AtomicUsize::new(0);
    let (url, mut requests) = server(move |_| {
        Some(if asked.fetch_add(1, Ordering::Relaxed) == 0 {
            (500, "")
        } else {
            (204, "")
        })
    })
    .await;
    let config = NotifyConfig {
        webhooks: vec![TargetConfig::new(format!("{url}/hook"))],
        ..NotifyConfig::default()
    };
    let running = start(&config, fixed);
    let muted = Alert {
        muted: Some("x".to_owned()),
        ..firing("quiet")
    };
    let resolved = Alert {
        state: AlertState::Resolved,
        ..firing("session")
    };
    running
        .notices
        .send(transitions([firing("session"), muted, resolved]))
        .await
        .unwrap();
    let first = expect(&mut requests, |_| true).await;
    let second = expect(&mut requests, |_| true).await;
    assert_eq!(first.path, "/hook");
    assert_eq!(first.body, second.body);
    assert_eq!(first.body["schema"], "fatalmonitor/webhook/v1");
    let seqs: Vec<u64> = first.body["transitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [1, 3]);
    let key = "idempotency-key";
    assert_eq!(first.headers[key], second.headers[key]);
    assert_eq!(first.headers[key].len(), 64);
    let stats = &running.stats.webhooks[0];
    while stats.acked_seq() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!((stats.sent(), stats.queue_length()), (2, 0));
}

#[tokio::test]
async fn a_transition_that_a_webhook_refuses_holds_up_no_other() {
    let (url, _requests) = server(|request| {
        Some(if request.body.to_string().contains("bad") {
            (400, "no")
        } else {
            (200, "")
        })
    })
    .await;
    let config = NotifyConfig {
        webhooks: vec![TargetConfig::new(url)],
        ..NotifyConfig::default()
    };
    let running = start(&config, fixed);
    let alerts = ["a", "b", "bad", "c", "d"].map(firing);
    running.notices.send(transitions(alerts)).await.unwrap();
    let stats = &running.stats.webhooks[0];
    while stats.acked_seq() < 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!((stats.sent(), stats.refused()), (4, 1));
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let with_url = |url: &str| NotifyConfig {
        alertmanagers: vec![TargetConfig::new(url)],
        ..NotifyConfig::default()
    };
    let with_label = |name: &str, value: &str| NotifyConfig {
        external_labels: BTreeMap::from([(name.to_owned(), value.to_owned())]),
        ..NotifyConfig::default()
    };
    let cases = [
        (with_url("localhost:9093"), "http://"),
        (with_url("ftp://a/"), "http://"),
        (with_url("http://u:hunter2@a/"), "basic_auth"),
        (with_url("http://169.254.169.254/"), "not allowed"),
        (with_label("my-site", "x"), "letters"),
        (with_label("site", ""), "value"),
    ];
    for (config, expected) in cases {
        let error = Notifier::new(&config, fixed).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert_eq!(
        format!("{:?}", Secret::new("hunter2".to_owned())),
        "Secret(..)"
    );
}

/// A real Alertmanager, killed with the test.
struct RealAlertmanager {
    child: Child,
    url: String,
    _data: tempfile::TempDir,
}

impl Drop for RealAlertmanager {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

async fn real_alertmanager(binary: &std::ffi::OsStr) -> RealAlertmanager {
    let data = tempfile::tempdir().unwrap();
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let config = data.path().join("am.yml");
    std::fs::write(
        &config,
        "route:\n  receiver: none\nreceivers:\n  - name: none\n",
    )
    .unwrap();
    let child = Command::new(binary)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.path={}",
            data.path().join("data").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    RealAlertmanager {
        child,
        url: format!("http://127.0.0.1:{port}"),
        _data: data,
    }
}

/// Asks Alertmanager for its active alerts until they are as wanted.
async fn poll(url: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut last = Vec::new();
    let found = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            if let Ok(answer) = client.get(format!("{url}/api/v2/alerts")).send().await
                && let Ok(alerts) = answer.json::<Vec<Value>>().await
            {
                last = alerts;
                if wanted(&last) {
                    return;
                }
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(found.is_ok(), "Alertmanager has {last:#?}");
    last
}

#[tokio::test]
#[ignore = "needs Alertmanager: make test"]
async fn a_real_alertmanager_knows_the_alert_until_it_is_resolved() {
    let binary = std::env::var_os("FATALMONITOR_TEST_ALERTMANAGER_BIN")
        .expect("FATALMONITOR_TEST_ALERTMANAGER_BIN names the alertmanager program");
    let server = real_alertmanager(&binary).await;
    poll(&server.url, <[Value]>::is_empty).await;
    let running = start(&quick(&server.url), real);
    let mut alerts: Vec<Alert> = (0..70)
        .map(|it| {
            alert(
                &format!("c{it}"),
                Severity::Critical,
                AlertState::Firing,
                real(),
            )
        })
        .collect();
    // A year that Alertmanager cannot read: a 400 for the batch that it is in.
    alerts[9].started_at = EventTime::MIN;
    running
        .notices
        .send(transitions(alerts.clone()))
        .await
        .unwrap();
    // 69 good ones and the watchdog.
    let known = poll(&server.url, |it| it.len() == 70).await;
    let stats = Arc::clone(&running.stats);
    while stats.alertmanagers[0].refused() == 0 {
        tokio::task::yield_now().await;
    }
    let first = known
        .iter()
        .find(|it| it["labels"]["channel"] == "c0")
        .unwrap();
    assert_eq!(first["labels"]["alertname"], "FatalmonitorNewError");
    running.token.cancel();
    running.task.await.unwrap();

    // After our restart it is the same alert.
    let running = start(&quick(&server.url), real);
    running
        .notices
        .send(Notice::Active(alerts.clone()))
        .await
        .unwrap();
    while running.stats.alertmanagers[0].sent() < 70 {
        tokio::task::yield_now().await;
    }
    let again = poll(&server.url, |it| it.len() == 70).await;
    let same = again
        .iter()
        .find(|it| it["labels"]["channel"] == "c0")
        .unwrap();
    assert_eq!(same["fingerprint"], first["fingerprint"]);
    assert_eq!(same["startsAt"], first["startsAt"]);

    for alert in &mut alerts {
        alert.state = AlertState::Resolved;
    }
    running.notices.send(transitions(alerts)).await.unwrap();
    // Only the watchdog is left.
    poll(&server.url, |it| it.len() == 1).await;
}
