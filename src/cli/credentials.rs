//! Reading a password without showing it.

use std::io::{self, BufRead, IsTerminal};

use super::failure::Failure;
use super::output::complain;
use crate::domain::secret::Secret;

/// From the first line of standard input, or typed twice at a prompt.
pub fn password(from_stdin: bool) -> Result<Secret<String>, Failure> {
    if from_stdin {
        return line();
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::Input(
            "standard input is not a terminal; give the password with --password-stdin".to_owned(),
        ));
    }
    let (first, second) = (prompt("Password: ")?, prompt("Password again: ")?);
    if first == second { Ok(first) } else { Err(Failure::Input("the two passwords differ".to_owned())) }
}

fn prompt(text: &str) -> Result<Secret<String>, Failure> {
    complain(text);
    let stdin = io::stdin();
    let shown = rustix::termios::tcgetattr(&stdin).map_err(io::Error::from)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(rustix::termios::LocalModes::ECHO);
    rustix::termios::tcsetattr(&stdin, rustix::termios::OptionalActions::Flush, &hidden).map_err(io::Error::from)?;
    let read = line();
    rustix::termios::tcsetattr(&stdin, rustix::termios::OptionalActions::Flush, &shown).map_err(io::Error::from)?;
    complain("\n");
    read
}

fn line() -> Result<Secret<String>, Failure> {
    let mut text = String::new();
    io::stdin().lock().read_line(&mut text)?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    let text = Secret::new(text);
    if text.expose().is_empty() {
        return Err(Failure::Input("the password on standard input is empty".to_owned()));
    }
    Ok(text)
}
