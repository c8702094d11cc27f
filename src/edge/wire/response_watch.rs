//! How far the answer to the present request is, seen from the bytes written.

/// The status line up to the status: `HTTP/1.1 101`.
const STATUS_END: usize = 12;
const STATUS_START: usize = 9;

/// Knows whether an answer is under way and whether it switches protocols. Interim answers (100, 103) do not count:
/// another head follows them.
#[derive(Clone, Debug)]
pub struct ResponseWatch {
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    StatusLine {
        seen: [u8; STATUS_END],
        length: usize,
    },
    /// Within an interim head; how much of its last four bytes has come.
    Interim {
        matched: u8,
    },
    Final,
    Switched,
}

const AT_START: State = State::StatusLine { seen: [0; STATUS_END], length: 0 };

impl Default for ResponseWatch {
    fn default() -> Self {
        Self { state: AT_START }
    }
}

impl ResponseWatch {
    pub fn reset(&mut self) {
        self.state = AT_START;
    }

    /// Whether a whole answer may be written now without landing inside of another.
    pub fn is_at_start(&self) -> bool {
        self.state == AT_START
    }

    /// Whether the connection has left HTTP.
    pub fn has_switched(&self) -> bool {
        self.state == State::Switched
    }

    /// Whether bytes about to be written begin a switch of protocols.
    pub fn would_switch(&self, bytes: &[u8]) -> bool {
        self.is_at_start() && bytes.get(STATUS_START..STATUS_END) == Some(b"101")
    }

    /// Takes note of bytes that have been written.
    pub fn observe(&mut self, mut bytes: &[u8]) {
        // Pingora writes a head at once, so that its status need not be put together byte by byte.
        if self.is_at_start()
            && let Some((line, rest)) = bytes.split_at_checked(STATUS_END)
        {
            self.state = after_status(line);
            bytes = rest;
        }
        while let Some((&byte, rest)) = bytes.split_first() {
            self.state = match self.state {
                State::Final | State::Switched => return,
                State::StatusLine { mut seen, length } => {
                    if let Some(slot) = seen.get_mut(length) {
                        *slot = byte;
                    }
                    if length + 1 < STATUS_END {
                        State::StatusLine { seen, length: length + 1 }
                    } else {
                        after_status(&seen)
                    }
                }
                State::Interim { matched } => match (matched, byte) {
                    (3, b'\n') => AT_START,
                    (0 | 2, b'\r') | (1, b'\n') => State::Interim { matched: matched + 1 },
                    (_, b'\r') => State::Interim { matched: 1 },
                    _ => State::Interim { matched: 0 },
                },
            };
            bytes = rest;
        }
    }
}

fn after_status(line: &[u8]) -> State {
    match line.get(STATUS_START..) {
        Some(b"101") => State::Switched,
        Some([b'1', ..]) => State::Interim { matched: 0 },
        _ => State::Final,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(written: &[u8]) -> ResponseWatch {
        let mut watch = ResponseWatch::default();
        watch.observe(written);
        let mut drip = ResponseWatch::default();
        written.chunks(1).for_each(|byte| drip.observe(byte));
        assert_eq!(watch.state, drip.state);
        watch
    }

    #[test]
    fn an_answer_is_under_way_from_its_first_byte() {
        assert!(after(b"").is_at_start());
        assert!(!after(b"H").is_at_start());
        assert!(!after(b"HTTP/1.1 200 OK\r\n\r\n").is_at_start());
    }

    #[test]
    fn interim_answers_do_not_count() {
        assert!(after(b"HTTP/1.1 100 Continue\r\n\r\n").is_at_start());
        assert!(after(b"HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n").is_at_start());
        assert!(!after(b"HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n").is_at_start());
        assert!(!after(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n").is_at_start());
    }

    #[test]
    fn a_switch_is_seen_before_and_after() {
        let head = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
        assert!(ResponseWatch::default().would_switch(head));
        assert!(after(head).has_switched());
        assert!(after(b"HTTP/1.1 103 Early Hints\r\n\r\n").would_switch(head));
        assert!(!after(b"HTTP/1.1 200 OK\r\n\r\n").would_switch(head));
        assert!(!after(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 S\r\n\r\n").has_switched());
    }
}
