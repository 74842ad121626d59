//! A small HTTP server that takes every POST and keeps the bodies; it can be stopped and started on its port.

use super::free_port;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A receiver of webhooks, or of what an Alertmanager would get.
#[derive(Debug)]
pub(crate) struct Receiver {
    port: u16,
    bodies: Arc<Mutex<Vec<String>>>,
    work: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Receiver {
    /// Starts a receiver on a free port.
    pub(crate) fn new() -> Self {
        let mut receiver = Self {
            port: free_port(),
            bodies: Arc::default(),
            work: None,
        };
        receiver.start();
        receiver
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Listens again on the same port.
    pub(crate) fn start(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).expect("the port is free");
        let stop = Arc::new(AtomicBool::new(false));
        let (bodies, stopped) = (Arc::clone(&self.bodies), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for link in listener.incoming() {
                if stopped.load(Ordering::Acquire) {
                    break;
                }
                if let Some(body) = link.ok().and_then(take) {
                    bodies.lock().expect("a list").push(body);
                }
            }
        });
        self.work = Some((stop, thread));
    }

    /// Listens no longer; whoever connects is refused.
    pub(crate) fn stop(&mut self) {
        if let Some((stop, thread)) = self.work.take() {
            stop.store(true, Ordering::Release);
            // Wakes the thread.
            drop(TcpStream::connect(("127.0.0.1", self.port)));
            thread.join().expect("the receiver ends");
        }
    }

    /// Returns every body so far, in order.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.bodies.lock().expect("a list").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Takes one request and answers it; `None` if it was cut off.
fn take(mut stream: TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    // The body counts as taken only once the sender can know it.
    let text = String::from_utf8(body).ok()?;
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")
        .ok()?;
    Some(text)
}
