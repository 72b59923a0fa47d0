//! The floors of `ARCHITECTURE.md`, enforced: a module uses only modules on floors below its own, and no
//! two files need each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The floor of each module, as the table in `ARCHITECTURE.md` has it.
fn floors() -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(format!("{ROOT}/ARCHITECTURE.md")).unwrap();
    let mut floors = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, floor, modules, ..] = cells.as_slice()
            && let Ok(floor) = floor.parse()
        {
            let names = modules.split('`').skip(1).step_by(2);
            floors.extend(names.map(|name| (name.to_owned(), floor)));
        }
    }
    assert!(floors.len() > 10, "the table of floors is in ARCHITECTURE.md");
    floors
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// A file's module path below the crate: `http::webhook`; the crate's own files are `lib` and `main`.
fn module(path: &Path) -> String {
    let relative = path.strip_prefix(format!("{ROOT}/src")).unwrap().with_extension("");
    let parts: Vec<_> = relative.iter().map(|part| part.to_str().unwrap()).filter(|part| *part != "mod").collect();
    parts.join("::")
}

/// The code without comments and without its own tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Every path that follows `prefix` in the code, `{…}` lists taken apart: `a::b`, `C`.
fn paths_after<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let is_path = |character: char| character.is_alphanumeric() || character == '_' || character == ':';
    let path = |text: &'a str| text.split(|character| !is_path(character)).next().unwrap_or_default();
    let mut paths = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split('}').next().unwrap_or_default();
                paths.extend(list.split(',').map(|part| path(part.trim())));
            }
            None => paths.push(path(rest)),
        }
    }
    paths
}

#[test]
fn a_module_uses_only_floors_below_it() {
    let floors = floors();
    let mut seen = BTreeSet::new();
    for file in files(Path::new(&format!("{ROOT}/src"))) {
        let module = module(&file);
        let own = module.split("::").next().unwrap();
        if own == "lib" {
            continue;
        }
        let floor = floors.get(own).unwrap_or_else(|| panic!("{own} has no floor in ARCHITECTURE.md"));
        seen.insert(own.to_owned());
        let code = code(&file);
        for used in paths_after(&code, "crate::").into_iter().chain(paths_after(&code, "sobot_hook::")) {
            let used = used.split("::").next().unwrap();
            if used != own {
                let below = floors.get(used).unwrap_or_else(|| panic!("{used} has no floor in ARCHITECTURE.md"));
                assert!(below < floor, "{} (floor {floor}) uses {used} (floor {below})", file.display());
            }
        }
    }
    assert_eq!(seen, floors.into_keys().collect(), "the table lists exactly the modules there are");
}

#[test]
fn no_two_files_need_each_other() {
    let paths = files(Path::new(&format!("{ROOT}/src")));
    let modules: BTreeSet<String> = paths.iter().map(|path| module(path)).collect();
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in &paths {
        let (own, code) = (module(path), code(path));
        let is_parent = path.ends_with("mod.rs");
        let parent = own.rsplit_once("::").map_or(String::new(), |(parent, _)| parent.to_owned());
        let mut used: Vec<String> = paths_after(&code, "crate::").into_iter().map(str::to_owned).collect();
        if is_parent {
            used.extend(paths_after(&code, "\nmod ").into_iter().map(|name| format!("{own}::{name}")));
        } else {
            used.extend(paths_after(&code, "super::").into_iter().map(|name| format!("{parent}::{name}")));
        }
        // The longest part of the path that is a file; an item of a parent is the parent's file.
        let file_of = |path: String| {
            let mut path = path.as_str();
            while !modules.contains(path) {
                path = path.rsplit_once("::")?.0;
            }
            Some(path.to_owned())
        };
        let used: BTreeSet<String> = used.into_iter().filter_map(file_of).filter(|used| *used != own).collect();
        needs.insert(own, used);
    }
    // Taking away what needs nothing, again and again, leaves the circles.
    loop {
        let free: Vec<String> = needs.iter().filter(|(_, used)| used.is_empty()).map(|(own, _)| own.clone()).collect();
        if free.is_empty() {
            break;
        }
        needs.retain(|own, _| !free.contains(own));
        for used in needs.values_mut() {
            used.retain(|used| !free.contains(used));
        }
    }
    assert!(needs.is_empty(), "circles among {needs:#?}");
}
