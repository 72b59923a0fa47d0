//! Defaults, file, environment: each layer over the one before, key by key. The defaults are all the keys
//! there are, with their types. A key whose default is a map (`{}`) takes any members; a layer that sets it sets it whole.

use std::path::Path;

use toml::{Table, Value};

use super::error::ConfigError;
use super::kubernetes;

const ENVIRONMENT_PREFIX: &str = "SOBOT_HOOK__";

/// Variables of ours that are no keys: where PostgreSQL's programs are.
const OTHER_VARIABLES: [&str; 1] = ["SOBOT_HOOK_PG_BIN"];

/// The layers as one table of sections.
///
/// # Errors
/// An unreadable file, an unknown key, a value of another type than its default.
pub fn load(
    defaults: &str,
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Table, ConfigError> {
    let defaults = defaults.parse().map_err(|error: toml::de::Error| ConfigError(error.to_string()))?;
    let mut layers = Layers(defaults);
    if let Some(file) = file {
        layers.add_file(file)?;
    }
    let mut database_url = None;
    for (name, text) in environment {
        if name == "DATABASE_URL" && !text.is_empty() {
            database_url = Some(text);
        } else if name.starts_with("SOBOT_HOOK_") && !OTHER_VARIABLES.contains(&name.as_str()) {
            layers.add_variable(&name, &text)?;
        }
    }
    if let Some(url) = database_url {
        layers.add_text("DATABASE_URL", "database.url", &url)?;
    }
    Ok(layers.0)
}

struct Layers(Table);

impl Layers {
    fn add_file(&mut self, file: &Path) -> Result<(), ConfigError> {
        let place = file.display();
        let text =
            std::fs::read_to_string(file).map_err(|error| ConfigError(format!("cannot read {place}: {error}")))?;
        // Only place and problem: the error's full text would quote the line.
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count().max(1));
            ConfigError(format!("{place} line {line} is no TOML: {}", error.message()))
        })?;
        for (section, value) in table {
            let Value::Table(members) = value else {
                return Err(self.unknown(&place.to_string(), &section));
            };
            for (name, value) in members {
                self.set(&place.to_string(), &format!("{section}.{name}"), value)?;
            }
        }
        Ok(())
    }

    /// A variable that begins as ours do.
    fn add_variable(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let key = name.strip_prefix(ENVIRONMENT_PREFIX).map(|path| path.to_ascii_lowercase().replacen("__", ".", 1));
        match key {
            Some(key) if self.get(&key).is_some() => self.add_text(name, &key, text),
            _ if kubernetes::is_service(name, text) => Ok(()),
            Some(key) => Err(self.unknown(name, &key)),
            None => Err(ConfigError(format!(
                "{name} sets nothing; keys are set as {ENVIRONMENT_PREFIX}SECTION__KEY, the nearest is {}",
                self.nearest(name)
            ))),
        }
    }

    /// A value from the environment, read as the type that the default has.
    fn add_text(&mut self, source: &str, key: &str, text: &str) -> Result<(), ConfigError> {
        let value = match self.get(key) {
            Some(Value::Integer(_)) => {
                Value::Integer(text.parse().map_err(|_| ConfigError(format!("{source} must be a whole number")))?)
            }
            Some(Value::Array(_)) => parts(text).collect::<Vec<_>>().into(),
            Some(Value::Table(_)) => Value::Table(members(source, text)?),
            _ => Value::String(text.to_owned()),
        };
        self.set(source, key, value)
    }

    fn set(&mut self, source: &str, key: &str, value: Value) -> Result<(), ConfigError> {
        let Some(place) = self.get(key) else { return Err(self.unknown(source, key)) };
        if place.type_str() != value.type_str() {
            return Err(ConfigError(format!(
                "{source}: {key} must be of type {}, not {}",
                place.type_str(),
                value.type_str()
            )));
        }
        *place = value;
        Ok(())
    }

    fn get(&mut self, key: &str) -> Option<&mut Value> {
        let (section, name) = key.split_once('.')?;
        self.0.get_mut(section)?.as_table_mut()?.get_mut(name)
    }

    fn unknown(&self, source: &str, key: &str) -> ConfigError {
        let distance = |known: &String| strsim::damerau_levenshtein(known, key);
        let nearest = keys(&self.0).min_by_key(distance).unwrap_or_default();
        ConfigError(format!("{source}: there is no key {key}; the nearest is {nearest}"))
    }

    /// The variable whose name is most like this one.
    fn nearest(&self, name: &str) -> String {
        let distance = |known: &String| strsim::damerau_levenshtein(known, name);
        let known = keys(&self.0).map(|key| variable(&key)).chain(OTHER_VARIABLES.map(str::to_owned));
        known.min_by_key(distance).unwrap_or_default()
    }
}

/// The variable that sets a key.
fn variable(key: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", key.replacen('.', "__", 1).to_ascii_uppercase())
}

fn keys(table: &Table) -> impl Iterator<Item = String> {
    table.iter().flat_map(|(section, members)| {
        members.as_table().into_iter().flatten().map(move |(name, _)| format!("{section}.{name}"))
    })
}

/// What stands between commas.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// A map from the environment: `110=token,111=token`. The values stay text, which a type that wants a number takes.
fn members(source: &str, text: &str) -> Result<Table, ConfigError> {
    let problem = || ConfigError(format!("{source} must be a list of name=value, each name once, separated by commas"));
    let mut members = Table::new();
    for part in parts(text) {
        let (name, value) = part.split_once('=').ok_or_else(problem)?;
        let (name, value) = (name.trim_end(), value.trim_start());
        if name.is_empty() || members.insert(name.to_owned(), value.into()).is_some() {
            return Err(problem());
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::super::{Secret, typed::typed};
    use super::*;

    const DEFAULTS: &str = "[maps]\nsecrets = {}\nminutes = {}\npeople = {}\n[plain]\nsecret = \"\"\nsecrets = []\n";

    #[derive(Debug, Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        maps: Maps,
        plain: Plain,
    }

    #[derive(Debug, Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Maps {
        secrets: BTreeMap<String, Secret>,
        minutes: BTreeMap<String, u32>,
        people: BTreeMap<String, Person>,
    }

    #[derive(Debug, Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Person {
        token: Secret,
        role: Role,
    }

    #[derive(Debug, Deserialize, Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Role {
        Viewer,
        Operator,
    }

    #[derive(Debug, Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Plain {
        secret: Secret,
        secrets: Vec<Secret>,
    }

    fn read(file: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("my.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let read = load(DEFAULTS, Some(&path), environment).and_then(typed);
        read.map_err(|error| error.to_string().replace(path.to_str().unwrap(), "my.toml"))
    }

    const PEOPLE: &str = "[maps.people]\nann = { token = \"hidden\", role = \"viewer\" }\n\
                          bob = { token = \"hidden too\", role = \"operator\" }\n";

    #[test]
    fn a_map_takes_any_members_from_a_file_and_its_secrets_are_shown_masked() {
        let settings = read(&format!("[maps]\nsecrets = {{ \"110\" = \"hidden\" }}\nminutes.110 = 5\n{PEOPLE}"), &[]);
        let settings = settings.unwrap();
        assert_eq!(settings.maps.secrets["110"].expose(), "hidden");
        assert_eq!(settings.maps.minutes["110"], 5);
        assert_eq!(settings.maps.people["bob"].token.expose(), "hidden too");
        let shown: Table = toml::to_string(&settings).unwrap().parse().unwrap();
        let expected: Table = format!(
            "[maps]\nsecrets = {{ 110 = \"***\" }}\nminutes = {{ 110 = 5 }}\n{}[plain]\nsecret = \"\"\nsecrets = []\n",
            PEOPLE.replace("hidden too", "***").replace("hidden", "***")
        )
        .parse()
        .unwrap();
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_map_from_the_environment_replaces_the_whole_map_and_numbers_are_read_from_text() {
        let file = "[maps]\nsecrets = { 1 = \"from the file\" }";
        let environment =
            [("SOBOT_HOOK__MAPS__SECRETS", "110 = to=ken, 111=0123,"), ("SOBOT_HOOK__MAPS__MINUTES", "110=5")];
        let maps = read(file, &environment).unwrap().maps;
        let secrets: Vec<_> = maps.secrets.iter().map(|(page, token)| (page.as_str(), token.expose())).collect();
        assert_eq!(secrets, [("110", "to=ken"), ("111", "0123")]);
        assert_eq!(maps.minutes, BTreeMap::from([("110".to_owned(), 5)]));
        assert!(read("", &[("SOBOT_HOOK__MAPS__SECRETS", "")]).unwrap().maps.secrets.is_empty());
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_by_its_key_and_without_its_value() {
        let refused = [
            ("maps.secrets = \"hidden\"", "my.toml: maps.secrets must be of type table, not string"),
            ("maps.secrets.110 = 4711", "maps.secrets.110: expected a string"),
            ("maps.secrets.110 = [\"hidden\"]", "maps.secrets.110: expected a string"),
            ("maps.secrets.110 = 2004-07-11", "maps.secrets.110: expected a string"),
            ("maps.minutes.110 = \"hidden\"", "maps.minutes.110: expected u32"),
            ("maps.minutes.110 = -4711", "maps.minutes.110: expected u32"),
            ("maps.people.ann = \"hidden\"", "maps.people.ann: expected struct Person"),
            ("maps.people.ann.role = \"hidden\"", "maps.people.ann.role: expected one of viewer, operator"),
            ("maps.people.ann.role = 4711", "maps.people.ann.role: expected enum Role"),
            ("maps.people.ann.token = \"hidden\"", "maps.people.ann: missing field `role`"),
            ("maps.people.ann.tokn = \"hidden\"", "maps.people.ann.tokn: unknown field `tokn`"),
            ("plain.secret = 4711", "my.toml: plain.secret must be of type string, not integer"),
            ("plain.secrets = \"hidden\"", "my.toml: plain.secrets must be of type array, not string"),
            ("plain.secrets = [\"good\", 4711]", "plain.secrets[1]: expected a string"),
            ("plain.secret = hidden", "my.toml line 1 is no TOML"),
            ("plain.secret = \"hid\\den\"", "my.toml line 1 is no TOML"),
            ("plain.secret = \"hidden", "my.toml line 1 is no TOML"),
            ("plain.secret = 4711x", "my.toml line 1 is no TOML"),
            ("plain.secret = \"good\"\nplain.secret = \"hidden\"", "my.toml line 2 is no TOML"),
            ("secret = \"hidden\"", "my.toml: there is no key secret; the nearest is maps.secrets"),
            ("maps.secret.110 = \"hidden\"", "my.toml: there is no key maps.secret; the nearest is maps.secrets"),
        ];
        for (file, expected) in refused {
            let problem = read(file, &[]).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
            assert!(!["hid", "4711", "2004"].iter().any(|value| problem.contains(value)), "{problem}");
        }
    }

    #[test]
    fn what_is_wrong_in_the_environment_is_told_by_its_key_and_without_its_value() {
        let no_list =
            "SOBOT_HOOK__MAPS__SECRETS must be a list of name=value, each name once, separated by commas".to_owned();
        for text in ["hidden", "110=good,hidden", "=hidden", "110=hidden,110=hidden"] {
            assert_eq!(read("", &[("SOBOT_HOOK__MAPS__SECRETS", text)]).unwrap_err(), no_list);
        }
        let refused = [
            ("SOBOT_HOOK__MAPS__MINUTES", "110=hidden", "maps.minutes.110: expected u32"),
            ("SOBOT_HOOK__MAPS__PEOPLE", "ann=hidden", "maps.people.ann: expected struct Person"),
            (
                "SOBOT_HOOK__MAPS__SECRETS__110",
                "hidden",
                "SOBOT_HOOK__MAPS__SECRETS__110: there is no key maps.secrets__110; the nearest is maps.secrets",
            ),
        ];
        for (name, text, expected) in refused {
            assert_eq!(read("", &[(name, text)]).unwrap_err(), expected);
        }
    }
}
