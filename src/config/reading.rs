//! One reading of one file: what every part of it needs, and what has been found so far.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::environment::Environment;
use super::fault::{Fault, Faults};

pub struct Reading<'a> {
    file: Arc<str>,
    base_dir: &'a Path,
    environment: &'a dyn Environment,
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Fault>>,
}

impl<'a> Reading<'a> {
    pub fn new(origin: &str, base_dir: &'a Path, environment: &'a dyn Environment) -> Self {
        Self { file: origin.into(), base_dir, environment, faults: RefCell::default(), warnings: RefCell::default() }
    }

    pub fn environment(&self) -> &dyn Environment {
        self.environment
    }

    /// Where a path in the file leads.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.base_dir.join(path)
    }

    /// Notes a fault and goes on, so that one reading finds them all.
    pub fn fault(&self, line: usize, path: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.faults.borrow_mut().push(self.note(line, path, problem.into(), remedy.into()));
    }

    /// Notes that a setting is weaker than the default, or easily misused.
    pub fn warn(&self, line: usize, path: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.warnings.borrow_mut().push(self.note(line, path, problem.into(), remedy.into()));
    }

    /// The faults, and the warnings in the order of their lines.
    pub fn into_findings(self) -> (Faults, Vec<Fault>) {
        (Faults::new(self.faults.into_inner()), Faults::new(self.warnings.into_inner()).into_vec())
    }

    fn note(&self, line: usize, path: &str, problem: String, remedy: String) -> Fault {
        Fault { file: self.file.clone(), line, path: path.to_owned(), problem, remedy }
    }
}
