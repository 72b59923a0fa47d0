//! What Kubernetes puts into the environment of every pod for each Service: variables that begin with the Service's name.
//! A Service `sobot-hook`, or one whose name begins so, makes names that begin as ours do.
//!
//! ```text
//! SOBOT_HOOK_SERVICE_HOST=10.96.12.7     SOBOT_HOOK_PORT=tcp://10.96.12.7:8080
//! SOBOT_HOOK_SERVICE_PORT=8080           SOBOT_HOOK_PORT_8080_TCP=tcp://10.96.12.7:8080
//! SOBOT_HOOK_SERVICE_PORT_HTTP=8080      SOBOT_HOOK_PORT_8080_TCP_ADDR=10.96.12.7   (_PORT, _PROTO)
//! ```
//!
//! Where a name alone could be somebody's error (`SOBOT_HOOK_PORT=8080`), the value decides.

use std::net::IpAddr;

const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// Whether a variable that begins as ours do is one of these.
pub fn is_service(name: &str, value: &str) -> bool {
    let is_host = || name.ends_with("_SERVICE_HOST") && value.parse::<IpAddr>().is_ok();
    let is_port = || {
        let is_named = |(_, port): (&str, &str)| port.is_empty() || port.starts_with('_');
        name.rsplit_once("_SERVICE_PORT").is_some_and(is_named) && value.parse::<u16>().is_ok()
    };
    let is_link = || name.ends_with("_PORT") && is_address(value);
    is_host() || is_port() || is_link() || is_part_of_link(name)
}

/// `tcp://10.96.12.7:8080`
fn is_address(value: &str) -> bool {
    value.split_once("://").is_some_and(|(protocol, _)| PROTOCOLS.contains(&protocol.to_ascii_uppercase().as_str()))
}

/// `…_PORT_8080_TCP`, alone or followed by `_PROTO`, `_PORT` or `_ADDR`.
fn is_part_of_link(name: &str) -> bool {
    let name = ["_PROTO", "_PORT", "_ADDR"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
    let Some((rest, protocol)) = name.rsplit_once('_') else { return false };
    let Some((rest, port)) = rest.rsplit_once('_') else { return false };
    PROTOCOLS.contains(&protocol) && port.parse::<u16>().is_ok() && rest.ends_with("_PORT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_of_a_service_is_known_and_no_error_of_a_person() {
        for service in ["SOBOT_HOOK", "SOBOT_HOOK_ADMIN", "SOBOT_HOOK_2_PORT", "SOBOT_HOOK__SPOOL", "SOBOT_HOOK_HTTP"] {
            let theirs = [
                ("_SERVICE_HOST", "10.96.12.7"),
                ("_SERVICE_HOST", "fd00::7"),
                ("_SERVICE_PORT", "8080"),
                ("_SERVICE_PORT_HTTP", "8080"),
                ("_SERVICE_PORT_HTTP_METRICS_2", "9090"),
                ("_PORT", "tcp://10.96.12.7:8080"),
                ("_PORT", "udp://[fd00::7]:53"),
                ("_PORT_8080_TCP", "tcp://10.96.12.7:8080"),
                ("_PORT_8080_TCP_PROTO", "tcp"),
                ("_PORT_53_UDP_PORT", "53"),
                ("_PORT_38412_SCTP_ADDR", "10.96.12.7"),
            ];
            for (rest, value) in theirs {
                assert!(is_service(&format!("{service}{rest}"), value), "{service}{rest}={value}");
            }
        }
        let errors = [
            ("SOBOT_HOOK_PORT", "8080"),
            ("SOBOT_HOOK_HTTP_PORT", "8080"),
            ("SOBOT_HOOK_HTTP_LISTEN", "127.0.0.1:8080"),
            ("SOBOT_HOOK_PG_BINN", "/usr/lib/postgresql/15/bin"),
            ("SOBOT_HOOK_DATABASE_URL", "postgres://db/x"),
            ("SOBOT_HOOK_SERVICE_HOST", "here"),
            ("SOBOT_HOOK_SERVICE_PORTS", "8080"),
            ("SOBOT_HOOK_SERVICE_PORT", "many"),
            ("SOBOT_HOOK_PORT_HTTP_TCP", "tcp://10.96.12.7:8080"),
            ("SOBOT_HOOK_TCP_ADDR", "10.96.12.7"),
        ];
        for (name, value) in errors {
            assert!(!is_service(name, value), "{name}={value}");
        }
    }
}
