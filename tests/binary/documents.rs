//! What documents say about the command line is so.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::harness::{Place, finish, place::PORTCULLIS};

/// The commands in a text: lines of `sh` blocks that run the gateway, and code in the line that names it. Each as its
/// arguments.
fn commands_in(markdown: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut block: Option<bool> = None;
    let joined = markdown.replace("\\\n", " ");
    for line in joined.lines() {
        let line = line.trim().trim_start_matches("# ");
        if let Some(language) = line.strip_prefix("```") {
            block = if block.is_some() { None } else { Some(matches!(language, "sh" | "bash" | "console")) };
        } else if block == Some(true) {
            found.extend(arguments(line.trim_start_matches("$ ")));
        } else if block.is_none() {
            // Every other piece between backticks is code.
            found.extend(line.split('`').skip(1).step_by(2).filter_map(arguments));
        }
    }
    found
}

/// The arguments of the gateway in a line of a shell, when it runs the gateway at all.
fn arguments(line: &str) -> Option<Vec<String>> {
    let words = words(line);
    let program = words.iter().position(|word| !word.contains('=')).unwrap_or(0);
    let words = &words[program.min(words.len())..];
    let first = words.first()?;
    let given = if first == "portcullis" || first.ends_with("/portcullis") {
        &words[1..]
    } else if first == "cargo" && words.get(1).is_some_and(|word| word == "run") {
        &words[words.iter().position(|word| word == "--").map_or(words.len(), |at| at + 1)..]
    } else {
        return None;
    };
    let ends = |word: &String| ["|", "||", "&", "&&", ";", ">", "<", "2>", ">>", "#"].contains(&word.as_str());
    Some(given.iter().take_while(|word| !ends(word)).cloned().collect())
}

/// Splits at white space outside of quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// What `--help` says: subcommands, and flags with whether they take a value.
struct Help {
    commands: Vec<String>,
    flags: BTreeMap<String, bool>,
}

fn help(path: &[String]) -> Help {
    let mut command = Command::new(PORTCULLIS);
    command.args(path).arg("--help");
    let text = finish(command, "").success().stdout.clone();
    let mut help = Help { commands: Vec::new(), flags: BTreeMap::new() };
    let mut in_commands = false;
    for line in text.lines() {
        if !line.starts_with(' ') {
            in_commands = line == "Commands:";
        } else if let (true, Some(name)) = (in_commands, line.split_whitespace().next()) {
            help.commands.push(name.to_owned());
        } else {
            let parts: Vec<&str> = line.split_whitespace().collect();
            for (index, part) in parts.iter().enumerate().filter(|(_, part)| part.starts_with('-')) {
                let takes = parts.get(index + 1).is_some_and(|next| next.starts_with('<'));
                help.flags.entry(part.trim_end_matches(',').to_owned()).or_insert(takes);
            }
        }
    }
    help
}

/// Holds a command against the help; a fault as a sentence.
fn check(command: &[String]) -> Result<(), String> {
    let mut path: Vec<String> = Vec::new();
    let mut help = self::help(&path);
    let mut words = command.iter();
    while let Some(word) = words.next() {
        if word.starts_with('-') {
            let flag = word.split('=').next().unwrap();
            match help.flags.get(flag) {
                Some(true) if !word.contains('=') => drop(words.next()),
                Some(_) => {}
                None => return Err(format!("`{}` has no flag {flag}", path.join(" "))),
            }
        } else if help.commands.contains(word) {
            path.push(word.clone());
            help = self::help(&path);
        } else if !help.commands.is_empty() {
            return Err(format!("`{}` has no command {word}", path.join(" ")));
        }
    }
    Ok(())
}

#[track_caller]
fn all_exist(name: &str, text: &str) {
    for command in commands_in(text) {
        check(&command).unwrap_or_else(|fault| panic!("{name}: portcullis {}: {fault}", command.join(" ")));
    }
}

#[test]
fn commands_are_found_and_held_against_the_help() {
    let markdown = "Use `portcullis migrate`, or `cat`.\n\n```sh\n# a comment\nportcullis users create \\\n  --username \
                    'a b' --password-stdin < file\ncargo run --release -- keys list | less\nA=1 ./portcullis serve\n\
                    make test\n```\n\n```yaml\nportcullis: no\n```\n";
    let found: Vec<String> = commands_in(markdown).iter().map(|words| words.join(" ")).collect();
    let expected = ["migrate", "users create --username a b --password-stdin", "keys list", "serve"];
    assert_eq!(found, expected);
    all_exist("a text", markdown);
    let check = |line: &str| check(&words(line));
    assert_eq!(check("users create --username=x --config file --scope a --scope b"), Ok(()));
    assert_eq!(check("explain GET /a"), Ok(()));
    for wrong in ["user list", "users lst", "users create --name x", "serve --port 1", "keys --output json lst"] {
        assert!(check(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_annotated_configuration_is_valid_and_speaks_of_commands_that_exist() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/portcullis.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(commands_in(&text).contains(&vec!["migrate".to_owned()]), "it tells how to bring a schema up to date");
    all_exist("config/portcullis.yaml", &text);

    // In a directory without any of the files that it names, as it is when it is tried for the first time.
    let place = Place::empty();
    std::fs::create_dir(place.path("config")).unwrap();
    place.write("config/portcullis.yaml", &text);
    let said = place.run(&["check"]);
    assert!(said.success().stdout.starts_with("config/portcullis.yaml is valid"), "{said:?}");
    assert_eq!(said.stderr, "", "the defaults are warned of");
    place.run(&["migrate"]).success();
    place.run(&["users", "list"]).success();
}

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn every_command_of_the_guides_exists() {
    for name in [
        "README.md",
        "docs/accounts.md",
        "docs/api-keys.md",
        "docs/limits.md",
        "docs/migrate-from-django.md",
        "docs/postgresql.md",
        "CONTRIBUTING.md",
        "deploy/README.md",
        "deploy/portcullis.service",
    ] {
        all_exist(name, &document(name));
    }
}

#[test]
fn the_readme_works_as_it_is_written() {
    let readme = document("README.md");
    let (_, yaml) = readme.split_once("```yaml\n").unwrap();
    let place = Place::empty();
    std::fs::create_dir(place.path("config")).unwrap();
    place.write("config/portcullis.yaml", yaml.split("```").next().unwrap());
    // The gateway has to exist before its users do; the guide says so in the order in which one would read it.
    place.run(&["migrate"]).success();
    let mut ran = 0;
    let mut prefix = String::new();
    // What needs other servers has a test of its own: machines.rs.
    let (before, rest) = readme.split_once("\n## More than one machine\n").unwrap();
    let (_, after) = rest.split_once("\n## ").unwrap();
    for command in commands_in(&format!("{before}\n## {after}")) {
        // What goes on until it is stopped, and what speaks to it, has tests of its own.
        if command.is_empty() || ["serve", "quickstart", "reload", "upgrade"].contains(&command[0].as_str()) {
            continue;
        }
        let words: Vec<&str> = command.iter().map(|w| if w == "pk_AbCd1234" { prefix.as_str() } else { w }).collect();
        let done = place.run_with(&words, "a long enough password\n");
        let text = &done.success().stdout;
        if let Some(key) = text.lines().find(|line| line.starts_with("pk_")) {
            prefix = key.chars().take("pk_".len() + 8).collect();
        }
        ran += 1;
    }
    assert!(ran >= 12, "only {ran} commands were found");
}
