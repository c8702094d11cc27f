//! What is wrong with a configuration: where, what, and what to do about it.

use std::fmt;
use std::sync::Arc;

/// One thing that is wrong, or that deserves a warning. None of the texts ever holds a secret: they quote the file as
/// written, never what the environment or another file put in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file's name as it was given.
    pub file: Arc<str>,
    /// Counted from one; zero when the fault belongs to the file as a whole.
    pub line: usize,
    /// The way to the value, such as `routes[2].access.scopes[0]`; empty when there is none.
    pub path: String,
    /// A clause without a full stop: `31s is more than 30s`.
    pub problem: String,
    /// What to do, in the imperative; may be empty.
    pub remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.problem)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

/// Everything that is wrong with one file, in the order of its lines. `Display` gives one line for each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.line);
        Self(faults)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    pub const fn len(&self) -> usize {
        self.0.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_vec(self) -> Vec<Fault> {
        self.0
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: usize, path: &str, remedy: &str) -> Fault {
        Fault { file: "a.yaml".into(), line, path: path.into(), problem: "is wrong".into(), remedy: remedy.into() }
    }

    #[test]
    fn a_fault_reads_from_place_to_remedy() {
        assert_eq!(fault(3, "a.b[0]", "write c").to_string(), "a.yaml:3: a.b[0]: is wrong; write c");
        assert_eq!(fault(0, "", "").to_string(), "a.yaml: is wrong");
    }

    #[test]
    fn faults_stand_in_the_order_of_their_lines() {
        let faults = Faults::new(vec![fault(9, "", ""), fault(2, "x", ""), fault(2, "y", "")]);
        assert_eq!(faults.to_string(), "a.yaml:2: x: is wrong\na.yaml:2: y: is wrong\na.yaml:9: is wrong");
    }
}
