//! Pages in a real Chromium, through `tests/browser/run.mjs`.
//!
//! `make test` runs these as a group of their own, after `npm ci` in `tests/browser`.

use crate::services::browser::browse;
use crate::services::process::Process;
use crate::services::{PATIENCE, eventually, http};
use std::io::{Read, Write};
use std::net::TcpListener;

/// Serves the same page to every request, from a thread that ends with the test's process.
fn serve(page: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for link in listener.incoming() {
            let mut link = link.unwrap();
            let mut request = [0; 8_192];
            if link.read(&mut request).is_ok_and(|size| size > 0) {
                let length = page.len();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8";
                write!(
                    link,
                    "{head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{page}"
                )
                .ok();
            }
        }
    });
    url
}

/// Fourteen hours after the deploy to group0, while people have not noticed anything yet.
const LATER: &str = "2016-01-20T12:00";

/// The picture in README is this test's: `scripts/picture` puts it there.
#[test]
#[ignore = "needs Chromium: make test"]
fn while_the_demo_plays_the_new_session_errors_stand_first_and_readme_shows_it() {
    // The visible 76 hours in about a minute.
    let mut demo = Process::demo(&["--speed", "4000"]);
    demo.spawn();
    eventually("it is noon of the day after", PATIENCE * 10, || {
        if let Some(status) = demo.ended() {
            panic!("the demo has ended: {status}");
        }
        let status = http::get(&demo.url("/api/v1/status")).map_err(|it| it.to_string())?;
        let clock = status.json()["clock"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if *clock >= *LATER { Ok(()) } else { Err(clock) }
    });
    let first = demo.get_json("/api/v1/signatures?limit=1")["rows"][0].clone();
    assert_eq!(first["channel"], "session", "{first}");
    let shots = tempfile::tempdir().unwrap();
    let pages = r#"[{"name": "errors", "path": "/", "wait": ".body .row:not([hidden])", "text": "session", "window": true}]"#;
    let report = browse(&demo.url(""), pages, shots.path());
    assert!(report.ends_with("3 passed, 0 failed"), "{report}");
    let picture = std::fs::read(shots.path().join("errors-wide.png")).unwrap();
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 20_000);
    if let Ok(wanted) = std::env::var("FATALMONITOR_TEST_PICTURE") {
        std::fs::write(wanted, picture).unwrap();
    }
}

const SOUND: &str = "<!doctype html><html lang=en><title>Sound</title>\
    <main><h1>Nothing is wrong here</h1></main></html>";
const FAULTY: &str = "<!doctype html><html><title>Faulty</title><main><h1>Faults</h1>\
    <img src='data:,'><script>throw new Error('thrown by the page')</script></main></html>";

#[test]
#[ignore = "needs Chromium: make test"]
fn a_sound_page_passes_in_every_view_and_leaves_its_pictures() {
    let shots = tempfile::tempdir().unwrap();
    let pages = r#"[{"name": "sound", "path": "/", "wait": "h1", "text": "Nothing is wrong"}]"#;
    let report = browse(&serve(SOUND), pages, shots.path());
    assert!(report.ends_with("3 passed, 0 failed"), "{report}");
    for view in ["wide", "dark", "phone"] {
        let picture = std::fs::read(shots.path().join(format!("sound-{view}.png"))).unwrap();
        assert!(picture.starts_with(b"\x89PNG"), "{view}");
    }
}

#[test]
#[ignore = "needs Chromium: make test"]
fn script_errors_and_accessibility_faults_are_named() {
    let shots = tempfile::tempdir().unwrap();
    let report = browse(
        &serve(FAULTY),
        r#"[{"name": "faulty", "path": "/"}]"#,
        shots.path(),
    );
    assert!(report.ends_with("0 passed, 3 failed"), "{report}");
    for fault in ["thrown by the page", "axe image-alt", "axe html-has-lang"] {
        assert!(report.contains(fault), "{fault} is not in:\n{report}");
    }
}
