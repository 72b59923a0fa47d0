//! `docs/apis.md` against the code: each of its rows names what there is, and it has all endpoints and codes.

use std::collections::BTreeSet;
use std::path::Path;

use sobot_hook::outbound::graph::GraphError;
use sobot_hook::outbound::sobot::{Code, SUCCESS};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const APIS: &str = include_str!("../docs/apis.md");

/// The rows below this heading, each as its cells.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = APIS.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn tables() -> impl Iterator<Item = Vec<&'static str>> {
    let headings = [
        "Sobot: endpoints",
        "Sobot: parameters",
        "Sobot: codes",
        "Meta: endpoints",
        "Meta: parameters and fields",
        "Meta: errors",
    ];
    headings.into_iter().flat_map(table)
}

/// What stands in backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// All code below a folder.
fn sources(folder: &str) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(Path::new(ROOT).join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let inner = path.strip_prefix(ROOT).unwrap().to_str().unwrap();
        text += &if path.is_dir() { sources(inner) } else { std::fs::read_to_string(&path).unwrap() };
    }
    text
}

#[test]
fn no_cell_is_empty_and_no_row_is_there_twice() {
    let mut rows = BTreeSet::new();
    for row in tables() {
        assert!(row.len() >= 3 && row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        assert!(rows.insert(row.clone()), "twice: {row:?}");
    }
    assert!(rows.len() > 100, "{}", rows.len());
}

#[test]
fn every_test_that_is_named_exists() {
    for row in tables() {
        let tests: Vec<_> = code(row.last().unwrap()).collect();
        assert!(!tests.is_empty(), "{row:?}");
        for test in tests {
            let (file, name) = test.split_once("::").unwrap();
            let source = std::fs::read_to_string(format!("{ROOT}/tests/{file}.rs")).unwrap();
            assert!(source.contains(&format!("fn {name}()")), "{test}");
        }
    }
}

#[test]
fn everything_that_covers_a_row_exists() {
    let source = sources("src");
    let is_type = |name: &str| ["struct", "enum"].iter().any(|kind| source.contains(&format!("pub {kind} {name}")));
    for row in tables() {
        let covers: Vec<_> = code(row[row.len() - 2]).collect();
        assert!(!covers.is_empty(), "{row:?}");
        for cover in covers {
            let (owner, name) = cover.split_once("::").unwrap_or(("", cover));
            let has = |pattern: String| source.contains(&pattern);
            assert!(owner.is_empty() || is_type(owner), "{cover}");
            // A function, a field, a type, a constant, an id, a variant.
            let starts = ["fn ", "pub ", "pub struct ", "pub const ", "    "];
            let ends = ["(", "<", ": ", " ", ",", "\n"];
            let is_there = starts.iter().any(|start| ends.iter().any(|end| has(format!("{start}{name}{end}"))));
            assert!(is_there, "{cover}");
        }
    }
}

#[test]
fn every_endpoint_of_sobot_that_is_asked_is_listed() {
    let source = sources("src/outbound/sobot");
    let after = |call: &str| -> BTreeSet<String> {
        source.split(call).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let calls = ["self.get(\"", "self.post(\"", "self.send_once(\"", "base.join(\"api/"];
    let asked: BTreeSet<String> = calls.into_iter().flat_map(after).collect();
    let listed = table("Sobot: endpoints").into_iter().map(|row| code(row[0]).nth(1).unwrap().to_owned());
    assert_eq!(listed.collect::<BTreeSet<_>>(), asked);
    // Each has its parameters.
    let with_parameters = table("Sobot: parameters").into_iter().map(|row| code(row[0]).next().unwrap().to_owned());
    assert_eq!(with_parameters.collect::<BTreeSet<_>>(), asked);
}

#[test]
fn every_command_that_is_named_exists() {
    // What the reference lists is compared with the program elsewhere.
    let reference = include_str!("../docs/reference.md");
    for row in table("Sobot: endpoints") {
        for command in code(row[2]) {
            let is_there = [" ", "`"].iter().any(|end| reference.contains(&format!("| `sobot-hook {command}{end}")));
            assert!(is_there, "{command}");
        }
    }
}

#[test]
fn every_code_of_sobot_is_listed_with_its_variant() {
    let rows = table("Sobot: codes");
    let listed = rows.iter().filter_map(|row| Some((code(row[0]).next()?.to_owned(), code(row[1]).next()?.to_owned())));
    let known = Code::ALL.iter().map(|code| (code.as_str().to_owned(), format!("Code::{code:?}")));
    let success = (SUCCESS.to_owned(), "SUCCESS".to_owned());
    assert_eq!(listed.collect::<BTreeSet<_>>(), known.chain([success]).collect());
}

#[test]
fn every_error_of_meta_is_listed() {
    let listed: BTreeSet<_> = table("Meta: errors").into_iter().flat_map(|row| code(row[1])).collect();
    let source = std::fs::read_to_string(format!("{ROOT}/src/outbound/graph/error.rs")).unwrap();
    let variants = source.split("pub enum GraphError {\n").nth(1).unwrap().split("\n}\n").next().unwrap();
    let variants = variants.lines().filter_map(|line| {
        let name = line.strip_prefix("    ")?;
        name.starts_with(char::is_uppercase).then(|| name.split([' ', '(', ',', '{']).next().unwrap())
    });
    let known: BTreeSet<_> = variants.map(|name| format!("GraphError::{name}")).collect();
    // A page without a token is a matter of the configuration, not of Meta's.
    assert!(!GraphError::NoToken.is_passing());
    let expected = known.iter().map(String::as_str).filter(|name| *name != "GraphError::NoToken");
    assert_eq!(listed, expected.collect());
}
