//! What can be wrong with the settings of the two APIs that the service asks. No message quotes a token or a URL.

use url::{Host, Url};

use super::error::ConfigError;
use super::sections::{Graph, Sobot};

/// Refuses what could not work or would send a secret to the wrong place.
pub fn check(sobot: &Sobot, graph: &Graph) -> Result<(), ConfigError> {
    let problem = |text: &str| Err(ConfigError(text.to_owned()));
    for (key, base) in [("sobot.base_url", &sobot.base_url), ("graph.base_url", &graph.base_url)] {
        if !is_base(base) {
            return Err(ConfigError(format!("{key} must look like https://host, without a user, ? and #")));
        }
    }
    if sobot.appid.is_empty() != sobot.app_key.is_empty() {
        return problem("sobot.appid and sobot.app_key belong together; set both, or none to do without Sobot's API");
    }
    if !is_version(&graph.version) {
        return problem("graph.version must look like v26.0");
    }
    if graph.page_tokens.iter().any(|(page, token)| page.is_empty() || token.is_empty()) {
        return problem(
            "graph.page_tokens: each page needs an id and a token, such as { \"110661988000000\" = \"EAA…\" }",
        );
    }
    if graph.page_tokens.values().any(|token| !token.expose().bytes().all(|byte| byte.is_ascii_graphic())) {
        return problem(
            "graph.page_tokens: a token consists of visible ASCII characters; look for a space or a line break",
        );
    }
    if graph.heal_minutes > 0 && graph.page_tokens.is_empty() {
        return problem("graph.heal_minutes needs graph.page_tokens: without a token Meta tells nothing of a page");
    }
    Ok(())
}

/// Secrets that anyone between here and there could read.
pub fn warnings(sobot: &Sobot, graph: &Graph) -> Vec<String> {
    let bases = [("sobot.base_url", &sobot.base_url), ("graph.base_url", &graph.base_url)];
    let open = bases.into_iter().filter(|(_, base)| is_open(base));
    open.map(|(key, _)| format!("{key} begins with http: the token travels in clear text")).collect()
}

fn is_base(base: &str) -> bool {
    Url::parse(base).is_ok_and(|url| {
        ["http", "https"].contains(&url.scheme())
            && url.has_host()
            && (url.username(), url.password(), url.query(), url.fragment()) == ("", None, None, None)
    })
}

fn is_open(base: &str) -> bool {
    let is_loopback = |host: Host<&str>| match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    Url::parse(base).is_ok_and(|url| url.scheme() == "http" && !url.host().is_some_and(is_loopback))
}

/// `v26.0`
fn is_version(version: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    version
        .strip_prefix('v')
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn load(environment: &[(&str, &str)]) -> Result<Config, String> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(None, environment).map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_work_is_refused_without_quoting_it() {
        let refused = [
            ("SOBOT_HOOK__SOBOT__BASE_URL", "sg.sobot.com/hidden", "sobot.base_url"),
            ("SOBOT_HOOK__SOBOT__BASE_URL", "https://me:hidden@sg.sobot.com", "sobot.base_url"),
            ("SOBOT_HOOK__GRAPH__BASE_URL", "https://graph.facebook.com?access_token=hidden", "graph.base_url"),
            ("SOBOT_HOOK__GRAPH__VERSION", "26", "graph.version"),
            ("SOBOT_HOOK__GRAPH__VERSION", "v26.", "graph.version"),
            ("SOBOT_HOOK__GRAPH__PAGE_TOKENS", "110=", "graph.page_tokens"),
            ("SOBOT_HOOK__GRAPH__PAGE_TOKENS", "110=hid den", "graph.page_tokens"),
            ("SOBOT_HOOK__GRAPH__HEAL_MINUTES", "5", "graph.heal_minutes"),
            ("SOBOT_HOOK__GRAPH__HEAL_MINUTES", "10081", "graph.heal_minutes"),
            ("SOBOT_HOOK__SOBOT__APP_KEY", "hidden", "sobot.appid"),
            ("SOBOT_HOOK__SOBOT__APPID", "1", "sobot.appid"),
            ("SOBOT_HOOK__SOBOT__SENDS_PER_SECOND", "0", "sobot.sends_per_second"),
        ];
        for (name, value, key) in refused {
            let problem = load(&[(name, value)]).unwrap_err();
            assert!(problem.starts_with(key) && !problem.contains("hid"), "{name}={value}: {problem}");
        }
    }

    #[test]
    fn both_apis_can_be_set_by_the_environment_and_show_no_secret() {
        let config = load(&[
            ("SOBOT_HOOK__SOBOT__APPID", "1"),
            ("SOBOT_HOOK__SOBOT__APP_KEY", "hidden"),
            ("SOBOT_HOOK__SOBOT__BASE_URL", "http://127.0.0.1:8081/"),
            ("SOBOT_HOOK__GRAPH__BASE_URL", "http://graph.example"),
            ("SOBOT_HOOK__GRAPH__PAGE_TOKENS", "110=hidden,111=hidden too"),
        ]);
        assert!(config.unwrap_err().starts_with("graph.page_tokens"));
        let config = load(&[
            ("SOBOT_HOOK__SOBOT__APPID", "1"),
            ("SOBOT_HOOK__SOBOT__APP_KEY", "hidden"),
            ("SOBOT_HOOK__SOBOT__BASE_URL", "http://127.0.0.1:8081/"),
            ("SOBOT_HOOK__GRAPH__BASE_URL", "http://graph.example"),
            ("SOBOT_HOOK__GRAPH__PAGE_TOKENS", "110=hidden,111=hidden-too"),
            ("SOBOT_HOOK__GRAPH__HEAL_MINUTES", "15"),
        ])
        .unwrap();
        assert_eq!((config.sobot.app_key.expose(), config.graph.page_tokens["111"].expose()), ("hidden", "hidden-too"));
        let shown = toml::to_string(&config).unwrap();
        assert!(shown.contains("app_key = \"***\"") && shown.contains("110 = \"***\""), "{shown}");
        assert!(!shown.contains("hidden") && !format!("{config:?}").contains("hidden"));
        let open: Vec<_> = config.warnings().into_iter().filter(|line| line.contains("clear text")).collect();
        assert_eq!(open.len(), 1, "{open:?}");
    }
}
