//! Pages in a real Chromium, through `tests/browser/run.mjs`.
//!
//! `make test` runs these as a group of their own, after `npm ci` in `tests/browser`.

use crate::services::browser::browse;
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
