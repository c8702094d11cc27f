//! A child process: what it prints, and how it ends.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::Shared;

/// A command that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    #[track_caller]
    pub fn success(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// What is on standard error for people: all but what the audit tells there.
    pub fn complaint(&self) -> String {
        self.stderr.split_inclusive('\n').filter(|line| !line.starts_with("{\"log\":\"audit\"")).collect()
    }

    /// Exit code 1, nothing on standard output, and one line of complaint, which is returned.
    #[track_caller]
    pub fn refusal(&self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), ""), "{self:?}");
        let sentence = self.complaint().trim_end_matches('\n').to_owned();
        assert!(!sentence.is_empty() && !sentence.contains('\n'), "not one sentence: {self:?}");
        for noise in ["panicked", "RUST_BACKTRACE", "Error {", "Some(", "unwrap"] {
            assert!(!sentence.contains(noise), "not for people: {sentence}");
        }
        sentence
    }
}

pub fn finish(mut command: Command, stdin: &str) -> Finished {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that wants no input may be gone before it is written.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let (mut stdout, mut stderr) = (follow(child.stdout.take().unwrap()), follow(child.stderr.take().unwrap()));
    let status = wait(&mut child);
    Finished { code: status.code(), stdout: stdout.end(), stderr: stderr.end() }
}

/// A process that is given up on after half a minute: a test that hangs says less than one that fails.
pub fn wait(child: &mut Child) -> ExitStatus {
    for _ in 0..3000 {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    panic!("the process does not end");
}

/// What a process prints, as it comes.
pub struct Output {
    text: Shared<u8>,
    reader: Option<std::thread::JoinHandle<()>>,
}

pub fn follow(mut pipe: impl Read + Send + 'static) -> Output {
    let text: Shared<u8> = Arc::default();
    let theirs = Arc::clone(&text);
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            theirs.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
    });
    Output { text, reader: Some(reader) }
}

impl Output {
    pub fn so_far(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }

    pub fn end(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.so_far()
    }
}
