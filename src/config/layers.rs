//! Defaults, file, environment: each layer over the one before, key by key. The defaults are all the keys
//! there are, with their types.

use std::path::Path;

use toml::{Table, Value};

use super::error::ConfigError;

/// The defaults: the documented file itself.
const DEFAULTS: &str = include_str!("../../config.toml");

const ENVIRONMENT_PREFIX: &str = "SOBOT_HOOK__";

/// Variables of ours that are no keys: where PostgreSQL's programs are.
const OTHER_VARIABLES: [&str; 1] = ["SOBOT_HOOK_PG_BIN"];

/// Values that are never shown.
const SECRETS: [&str; 4] = ["webhook.secrets", "webhook.verify_token", "webhook.app_secret", "database.url"];

/// The layers as one table of sections.
pub struct Layers(Table);

impl Layers {
    pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let defaults = DEFAULTS.parse().map_err(|error: toml::de::Error| ConfigError(error.to_string()))?;
        let mut layers = Self(defaults);
        if let Some(file) = file {
            layers.add_file(file)?;
        }
        let mut database_url = None;
        for (name, text) in environment {
            if let Some(path) = name.strip_prefix(ENVIRONMENT_PREFIX) {
                let key = path.to_ascii_lowercase().replacen("__", ".", 1);
                layers.add_text(&name, &key, &text)?;
            } else if name.starts_with("SOBOT_HOOK_") && !OTHER_VARIABLES.contains(&name.as_str()) {
                let problem = format!("{name} sets nothing; keys are set as {ENVIRONMENT_PREFIX}SECTION__KEY");
                return Err(ConfigError(problem));
            } else if name == "DATABASE_URL" && !text.is_empty() {
                database_url = Some(text);
            }
        }
        if let Some(url) = database_url {
            layers.add_text("DATABASE_URL", "database.url", &url)?;
        }
        Ok(layers)
    }

    pub fn into_table(self) -> Table {
        self.0
    }

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

    /// A value from the environment, read as the type that the default has.
    fn add_text(&mut self, source: &str, key: &str, text: &str) -> Result<(), ConfigError> {
        let value = match self.get(key) {
            Some(Value::Integer(_)) => {
                Value::Integer(text.parse().map_err(|_| ConfigError(format!("{source} must be a whole number")))?)
            }
            Some(Value::Array(_)) => Value::Array(
                text.split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                    .map(|part| part.to_owned().into())
                    .collect(),
            ),
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
}

fn keys(table: &Table) -> impl Iterator<Item = String> {
    table.iter().flat_map(|(section, members)| {
        members.as_table().into_iter().flatten().map(move |(name, _)| format!("{section}.{name}"))
    })
}

/// The configuration in force as TOML, secrets masked.
///
/// # Errors
/// As for loading it.
pub fn masked(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<String, ConfigError> {
    let mut layers = Layers::load(file, environment)?;
    for key in SECRETS {
        match layers.get(key) {
            Some(Value::String(text)) if !text.is_empty() => "***".clone_into(text),
            Some(Value::Array(values)) => values.fill("***".into()),
            _ => {}
        }
    }
    Ok(layers.0.to_string())
}
