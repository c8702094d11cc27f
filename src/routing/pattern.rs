//! What a route's path looks like.

use std::fmt;

use super::normal_path::NormalPath;

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    Literal(String),
    /// `*`: exactly one segment, whatever it is, but not an empty one.
    One,
}

/// A path pattern: whole segments, case-sensitive. A prefix covers itself and everything below it; with or without a
/// trailing slash it is the same prefix, so that neither form of a path escapes a rule written in the other.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PathPattern {
    pub segments: Vec<Segment>,
    pub exact: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    #[error("a path pattern starts with /")]
    NoLeadingSlash,
    #[error("`*` stands for one whole segment: write /files/*/meta, not /files/a*")]
    PartialWildcard,
    #[error(
        "a path pattern is a plain path in normal form: no query, no escapes of plain characters, no dot segments, no //"
    )]
    NotNormal,
}

impl PathPattern {
    pub fn parse(text: &str, exact: bool) -> Result<Self, BadPattern> {
        if !text.starts_with('/') {
            return Err(BadPattern::NoLeadingSlash);
        }
        let path = NormalPath::parse(text.as_bytes()).map_err(|_| BadPattern::NotNormal)?;
        if path.as_str() != text || path.oddities().any() {
            return Err(BadPattern::NotNormal);
        }
        let mut segments = Vec::new();
        for segment in path.segments() {
            match segment {
                "*" => segments.push(Segment::One),
                _ if segment.contains('*') => return Err(BadPattern::PartialWildcard),
                _ => segments.push(Segment::Literal(segment.to_owned())),
            }
        }
        if segments.last() == Some(&Segment::Literal(String::new())) {
            segments.pop();
        }
        Ok(Self { segments, exact })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::One => f.write_str("/*")?,
            }
        }
        if self.exact && !self.segments.is_empty() {
            return Ok(());
        }
        f.write_str("/")
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}{}", if self.exact { " (exact)" } else { "" })
    }
}
