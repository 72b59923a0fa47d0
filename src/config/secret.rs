//! What must not be seen, as a type: it cannot be printed by accident, wherever it stands.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What stands for a secret wherever one is shown.
const MASK: &str = "***";

/// A token, key or URL with a password. Serialised it is `"***"`, or `""` if there is none, so that what holds
/// secrets can be shown as it is. Wiped from memory when dropped.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Secret(SecretString);

impl Secret {
    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// Whether a stranger's guess is this secret; nothing is equal to an empty one. Digests are compared, in constant
    /// time: the time taken tells neither how much of the guess is right nor how long the secret is.
    #[must_use]
    pub fn matches(&self, guess: &str) -> bool {
        let is_equal = Sha256::digest(guess).ct_eq(&Sha256::digest(self.expose()));
        bool::from(is_equal) && !self.is_empty()
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self(secret.into())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { MASK })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_only_when_exposed() {
        let secret = Secret::from("hidden");
        assert_eq!(secret.expose(), "hidden");
        assert!(!format!("{secret:?}").contains("hidden"));
        let shown = |secret: &Secret| serde_json::to_string(secret).unwrap();
        assert_eq!((shown(&secret), shown(&Secret::default())), (r#""***""#.to_owned(), r#""""#.to_owned()));
    }

    #[test]
    fn only_the_whole_secret_matches_and_nothing_matches_an_empty_one() {
        let secret = Secret::from("hidden");
        assert!(secret.matches("hidden"));
        assert!(!["", "hidde", "hidden2", "HIDDEN"].iter().any(|guess| secret.matches(guess)));
        assert!(!Secret::default().matches(""));
    }
}
