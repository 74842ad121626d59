//! Lines of a byte stream, with their places in it.

use std::io::BufRead;

/// Longest line that is kept; the rest of a longer one is read and thrown away, which the decoder flags.
// 256 KiB: Loki's max_line_size; RELIABILITY.md §3, "oversize".
pub(super) const LINE_MAX: usize = 256 << 10;

/// One line: where it starts, where the next one starts, and whether its end was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) start: u64,
    pub(super) next: u64,
    pub(super) complete: bool,
}

/// Reads one line into `buffer` (without its end); `None` at the end of the stream.
pub(super) fn read_line(
    reader: &mut impl BufRead,
    at: u64,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<Line>> {
    buffer.clear();
    let mut next = at;
    let mut complete = false;
    while !complete {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            break;
        }
        let end = memchr::memchr(b'\n', chunk);
        let taken = end.map_or(chunk.len(), |it| it + 1);
        let text = chunk.get(..end.unwrap_or(taken)).unwrap_or_default();
        let room = LINE_MAX.saturating_sub(buffer.len());
        buffer.extend_from_slice(text.get(..room).unwrap_or(text));
        complete = end.is_some();
        reader.consume(taken);
        next += taken as u64;
    }
    if next == at {
        return Ok(None);
    }
    if buffer.last() == Some(&b'\r') {
        buffer.pop();
    }
    Ok(Some(Line {
        start: at,
        next,
        complete,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(Vec<u8>, Line)> {
        let mut reader = std::io::BufReader::with_capacity(3, text);
        let (mut at, mut buffer, mut all) = (0, Vec::new(), Vec::new());
        while let Some(line) = read_line(&mut reader, at, &mut buffer).unwrap() {
            at = line.next;
            all.push((buffer.clone(), line));
        }
        all
    }

    #[test]
    fn lines_know_their_places_and_whether_they_ended() {
        let all = lines(b"one\r\n\nthree");
        assert_eq!(
            all[0],
            (
                b"one".to_vec(),
                Line {
                    start: 0,
                    next: 5,
                    complete: true
                }
            )
        );
        assert_eq!(
            all[1],
            (
                Vec::new(),
                Line {
                    start: 5,
                    next: 6,
                    complete: true
                }
            )
        );
        assert_eq!(
            all[2],
            (
                b"three".to_vec(),
                Line {
                    start: 6,
                    next: 11,
                    complete: false
                }
            )
        );
    }

    #[test]
    fn a_giant_line_costs_a_bounded_buffer() {
        let mut text = vec![b'x'; LINE_MAX * 2];
        text.push(b'\n');
        let all = lines(&text);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].0.len(), LINE_MAX);
        assert_eq!(all[0].1.next, (LINE_MAX * 2 + 1) as u64);
    }
}
