//! YAML text to a tree that knows its lines, and nothing more: scalars stay as written.
//!
//! The tree is built from parser events, without recursion and within bounds. What YAML has beyond plain data (aliases,
//! tags, several documents, keys that are no text) is refused: in a configuration each of them is a way to say
//! something other than what a reader sees.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// The largest file that is read.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The sections go five levels deep; a tree this deep is safe to walk and to drop by recursion.
const MAX_DEPTH: usize = 16;

#[derive(Debug)]
pub struct Node {
    /// Where it starts, counted from one.
    pub line: usize,
    pub content: Content,
}

#[derive(Debug)]
pub enum Content {
    /// Nothing, `null` or `~`: as if the key were not there.
    Nothing,
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the file; a key may still be there twice.
    Mapping(Vec<Entry>),
}

#[derive(Debug)]
pub struct Entry {
    pub key: String,
    pub line: usize,
    pub value: Node,
}

/// Why the text is no tree.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    pub line: usize,
    pub problem: String,
    pub remedy: &'static str,
}

impl Malformed {
    fn new(line: usize, problem: &str, remedy: &'static str) -> Self {
        Self { line, problem: problem.to_owned(), remedy }
    }
}

/// Reads the one document in `text`. An empty text is an empty mapping.
pub fn parse(text: &str) -> Result<Node, Malformed> {
    if text.len() > MAX_BYTES {
        return Err(Malformed::new(0, "the file is larger than 1 MiB", "a configuration is a few hundred lines"));
    }
    let mut parser = Parser::new_from_str(text.trim_start_matches('\u{feff}'));
    let mut builder = Builder::default();
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let problem = format!("this is not YAML: {}", error.info());
            Malformed::new(error.marker().line(), &problem, "check the indentation, brackets and quotes around here")
        })?;
        builder.accept(event, span)?;
    }
    Ok(builder.root.unwrap_or(Node { line: 1, content: Content::Mapping(Vec::new()) }))
}

/// A collection that has begun and not ended.
enum Open {
    List { line: usize, items: Vec<Node> },
    Mapping { line: usize, entries: Vec<Entry>, key: Option<(String, usize)> },
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    documents: usize,
}

impl Builder {
    fn accept(&mut self, event: Event<'_>, span: Span) -> Result<(), Malformed> {
        let line = span.start.line();
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Malformed::new(line, "a second document starts here", "remove the `---` line"));
                }
                Ok(())
            }
            Event::Alias(_) => Err(Malformed::new(line, "aliases (`*name`) are not read", "write the value out")),
            Event::Scalar(.., Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                Err(Malformed::new(line, "tags (`!name`) are not read", "write the value without its tag"))
            }
            Event::Scalar(text, style, ..) => self.scalar(&text, style == ScalarStyle::Plain, line),
            Event::SequenceStart(..) => self.begin(Open::List { line, items: Vec::new() }, line),
            Event::MappingStart(..) => self.begin(Open::Mapping { line, entries: Vec::new(), key: None }, line),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { line, items }) => self.place(Node { line, content: Content::List(items) }),
                Some(Open::Mapping { line, entries, .. }) => {
                    self.place(Node { line, content: Content::Mapping(entries) })
                }
                None => Ok(()),
            },
        }
    }

    fn begin(&mut self, collection: Open, line: usize) -> Result<(), Malformed> {
        if let Some(Open::Mapping { key: None, .. }) = self.open.last() {
            return Err(key_is_no_text(line));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Malformed::new(
                line,
                "this is nested deeper than any setting",
                "check the brackets and dashes",
            ));
        }
        self.open.push(collection);
        Ok(())
    }

    fn scalar(&mut self, text: &str, plain: bool, line: usize) -> Result<(), Malformed> {
        let nothing = plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
        if let Some(Open::Mapping { key: key @ None, .. }) = self.open.last_mut() {
            if nothing || text.is_empty() {
                return Err(key_is_no_text(line));
            }
            *key = Some((text.to_owned(), line));
            return Ok(());
        }
        let content = if nothing { Content::Nothing } else { Content::Scalar(text.to_owned()) };
        self.place(Node { line, content })
    }

    fn place(&mut self, node: Node) -> Result<(), Malformed> {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Mapping { entries, key, .. }) => {
                let Some((key, line)) = key.take() else { return Err(key_is_no_text(node.line)) };
                entries.push(Entry { key, line, value: node });
            }
        }
        Ok(())
    }
}

fn key_is_no_text(line: usize) -> Malformed {
    Malformed::new(line, "a key is a name, and this one is not", "write `name: value`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(node: &Node) -> String {
        let inner = match &node.content {
            Content::Nothing => "nothing".to_owned(),
            Content::Scalar(text) => format!("{text:?}"),
            Content::List(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(", ")),
            Content::Mapping(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|e| format!("{}@{}: {}", e.key, e.line, shape(&e.value))).collect();
                format!("{{{}}}", entries.join(", "))
            }
        };
        format!("{inner}@{}", node.line)
    }

    fn problem(text: &str) -> (usize, String) {
        let malformed = parse(text).unwrap_err();
        (malformed.line, malformed.problem)
    }

    #[test]
    fn every_node_knows_its_line() {
        let text = "a:\n  - x\n  - 'null'\nb: { c: ~,\n  d: 5 }\ne:\na: again\n";
        assert_eq!(
            shape(&parse(text).unwrap()),
            r#"{a@1: ["x"@2, "null"@3]@2, b@4: {c@4: nothing@4, d@5: "5"@5}@4, e@6: nothing@6, a@7: "again"@7}@1"#
        );
    }

    #[test]
    fn empty_texts_are_empty_mappings() {
        for text in ["", "\n\n", "# only a comment\n", "\u{feff}"] {
            assert_eq!(shape(&parse(text).unwrap()), "{}@1", "{text:?}");
        }
    }

    #[test]
    fn syntax_faults_have_their_line() {
        assert_eq!(problem("a: 1\nb: [1, 2\nc: 3\n").0, 3);
        assert!(problem("a: b: c\n").1.starts_with("this is not YAML: "));
    }

    #[test]
    fn what_is_more_than_plain_data_is_refused() {
        for (text, line, part) in [
            ("a: &x 1\nb: *x\n", 2, "aliases"),
            ("a: 1\nb: !!str 5\n", 2, "tags"),
            ("a: !x [1]\n", 1, "tags"),
            ("a: !x {b: 1}\n", 1, "tags"),
            ("a: 1\n---\nb: 2\n", 2, "second document"),
            ("? [a, b]\n: 1\n", 1, "a key is a name"),
            ("? {a: b}\n: 1\n", 1, "a key is a name"),
            ("a: 1\n: 2\n", 2, "a key is a name"),
            ("null: 2\n", 1, "a key is a name"),
        ] {
            let (at, problem) = problem(text);
            assert!(at == line && problem.contains(part), "{text:?}: {at} {problem}");
        }
    }

    #[test]
    fn bombs_are_bounded() {
        for text in ["[".repeat(100_000), "- ".repeat(400_000), "{a: ".repeat(100_000), "[\n".repeat(300_000)] {
            let (_, problem) = problem(&text);
            assert!(problem.contains("nested deeper") || problem.contains("recursion limit"), "{problem}");
        }
        assert!(problem(&"# x\n".repeat(400_000)).1.contains("larger than 1 MiB"));
    }
}
