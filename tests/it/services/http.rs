//! A blocking HTTP/1.1 client of one function, for tests: one request, one connection, the whole answer.
//!
//! It follows nothing, retries nothing and knows only `http://HOST:PORT/PATH`, so that a test sees exactly
//! what the server said.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The header lines, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, unchunked.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Returns the value of the first header of that name (lower case).
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the body as JSON; ends the test with the body when it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error} in the answer {}: {}", self.status, self.text())
        })
    }
}

/// Sends a GET request.
pub(crate) fn get(url: &str) -> io::Result<Answer> {
    request("GET", url, &[], b"")
}

/// Sends a POST request with a JSON body.
pub(crate) fn post_json(url: &str, body: &str) -> io::Result<Answer> {
    request(
        "POST",
        url,
        &[("content-type", "application/json")],
        body.as_bytes(),
    )
}

/// Sends any request and reads the answer to its end.
pub(crate) fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| invalid("the URL is not http://"))?;
    let (host, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let mut link = TcpStream::connect(host)?;
    link.set_read_timeout(Some(Duration::from_secs(30)))?;
    link.set_write_timeout(Some(Duration::from_secs(30)))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
    write!(head, "host: {host}\r\nconnection: close\r\n")?;
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n")?;
    }
    write!(head, "content-length: {}\r\n\r\n", body.len())?;
    link.write_all(&head)?;
    link.write_all(body)?;
    let mut raw = Vec::new();
    link.read_to_end(&mut raw)?;
    parse(&raw)
}

/// Takes an answer apart.
fn parse(raw: &[u8]) -> io::Result<Answer> {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| invalid("the answer has no end of its head"))?;
    let (head, body) = (String::from_utf8_lossy(&raw[..end]), &raw[end + 4..]);
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|s| s.parse().ok());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer {
        status: status.ok_or_else(|| invalid("the answer has no status"))?,
        headers,
        body: Vec::new(),
    };
    let length = answer
        .header("content-length")
        .and_then(|value| value.parse::<usize>().ok());
    answer.body = if answer.header("transfer-encoding") == Some("chunked") {
        unchunk(body)?
    } else if length.is_some_and(|length| length != body.len()) {
        return Err(invalid("the answer's body is not as long as it says"));
    } else {
        body.to_vec()
    };
    Ok(answer)
}

/// Joins the chunks of a chunked body; a body without its last, empty chunk is cut off and an error.
fn unchunk(mut rest: &[u8]) -> io::Result<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n");
        let line = line.ok_or_else(|| invalid("a chunked body is cut off"))?;
        let size = String::from_utf8_lossy(&rest[..line]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16)
            .map_err(|_| invalid("a chunk has no size"))?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Ok(whole);
        }
        if rest.len() < size + 2 {
            return Err(invalid("a chunk is cut off"));
        }
        whole.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[test]
fn a_chunked_answer_is_joined() {
    let raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    let answer = parse(raw).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "abcde"));
}

#[test]
fn a_cut_off_answer_is_an_error() {
    assert!(parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").is_err());
    assert!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabc").is_err());
    assert!(parse(b"HTTP/1.1 200 OK\r\ncontent-le").is_err());
}
