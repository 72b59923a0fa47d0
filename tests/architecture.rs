//! The floors of `ARCHITECTURE.md`, enforced: a module of `src` uses only modules on floors below its own; and no
//! two files need each other, neither in `src` nor in any other crate of ours.

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

/// The folders that are a crate each: the service, the contest, and the libraries, where there are any.
fn crates() -> Vec<PathBuf> {
    let libraries = std::fs::read_dir(format!("{ROOT}/crates")).into_iter().flatten();
    let libraries = libraries.map(|library| library.unwrap().path().join("src"));
    ["src", "benches/contest"].map(|folder| Path::new(ROOT).join(folder)).into_iter().chain(libraries).collect()
}

/// A file's module path as the crate in this folder writes it: `crate::http::webhook`; its root is `crate`.
fn module(folder: &Path, file: &Path) -> String {
    let root = if folder.join("lib.rs").exists() { "lib" } else { "main" };
    let relative = file.strip_prefix(folder).unwrap().with_extension("");
    let parts = relative.iter().map(|part| part.to_str().unwrap()).filter(|part| *part != "mod" && *part != root);
    std::iter::once("crate").chain(parts).collect::<Vec<_>>().join("::")
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
    let folder = Path::new(ROOT).join("src");
    for file in files(&folder) {
        let module = module(&folder, &file);
        let Some(own) = module.split("::").nth(1) else { continue };
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
    for folder in crates() {
        let mut needs = needs(&folder);
        assert!(needs.len() > 1, "{} is a crate", folder.display());
        // Taking away what needs nothing, again and again, leaves the circles.
        loop {
            let is_free = |(own, used): (&String, &BTreeSet<String>)| used.is_empty().then(|| own.clone());
            let free: BTreeSet<String> = needs.iter().filter_map(is_free).collect();
            if free.is_empty() {
                break;
            }
            needs.retain(|own, _| !free.contains(own));
            for used in needs.values_mut() {
                used.retain(|used| !free.contains(used));
            }
        }
        assert!(needs.is_empty(), "circles in {} among {needs:#?}", folder.display());
    }
}

/// What other files of its crate each file needs, all by their module paths.
fn needs(folder: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let codes: BTreeMap<_, _> = files(folder).iter().map(|file| (module(folder, file), code(file))).collect();
    // A module from elsewhere (`#[path = "…"] mod support`) needs nothing here.
    let borrowed = paths_after(&codes["crate"], "\"]\nmod ").into_iter().map(|name| format!("crate::{name}"));
    let mut needs: BTreeMap<_, _> = borrowed.map(|module| (module, BTreeSet::new())).collect();
    let modules: BTreeSet<String> = codes.keys().chain(needs.keys()).cloned().collect();
    // The longest part of the path that is a file; an item of a parent is the parent's file.
    let file_of = |path: String| {
        let mut path = path.as_str();
        while !modules.contains(path) {
            path = path.rsplit_once("::")?.0;
        }
        Some(path.to_owned())
    };
    for (own, code) in &codes {
        let parent = own.rsplit_once("::").map_or("crate", |(parent, _)| parent);
        // A parent needs the files that it declares.
        let used = [("crate::", "crate"), ("super::", parent), ("\nmod ", own), ("\npub mod ", own)]
            .into_iter()
            .flat_map(|(prefix, base)| paths_after(code, prefix).into_iter().map(move |path| format!("{base}::{path}")))
            .filter_map(file_of)
            .filter(|used| used != own);
        needs.insert(own.clone(), used.collect());
    }
    needs
}
