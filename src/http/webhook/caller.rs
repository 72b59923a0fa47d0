//! Who is calling: the peer's address, or what a trusted proxy says of it.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

use crate::config::Webhook;
use crate::http::server::Peer;

/// Whether the caller may post.
pub fn is_allowed(webhook: &Webhook, peer: Peer, headers: &HeaderMap) -> bool {
    webhook.allow_from.is_empty()
        || client(&webhook.trusted_proxies, peer, headers).is_some_and(|client| holds(&webhook.allow_from, client))
}

/// The client's address: the last one that no trusted proxy has, read from the near end, because a client
/// can write whatever it likes into the far one. None when a trusted proxy says something unreadable.
fn client(trusted_proxies: &[IpNet], peer: Peer, headers: &HeaderMap) -> Option<IpAddr> {
    let mut client = peer.0.ip().to_canonical();
    let forwarded: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|value| value.to_str().unwrap_or("?"))
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    for hop in forwarded.into_iter().rev() {
        if !holds(trusted_proxies, client) {
            break;
        }
        // Some proxies add the port.
        let address = hop.parse::<IpAddr>().or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
        client = address.ok()?.to_canonical();
    }
    Some(client)
}

fn holds(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(forwarded: &[&str]) -> Option<String> {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        client(&trusted, Peer("[::ffff:10.0.0.1]:5".parse().unwrap()), &headers).map(|client| client.to_string())
    }

    #[test]
    fn the_client_is_the_last_address_that_no_trusted_proxy_has() {
        assert_eq!(client_of(&[]).as_deref(), Some("10.0.0.1"));
        assert_eq!(client_of(&["203.0.113.7"]).as_deref(), Some("203.0.113.7"));
        assert_eq!(client_of(&["203.0.113.7, 198.51.100.2, 10.9.9.9"]).as_deref(), Some("198.51.100.2"));
        assert_eq!(client_of(&["203.0.113.7", "198.51.100.2:4711"]).as_deref(), Some("198.51.100.2"));
        assert_eq!(client_of(&["203.0.113.7, nonsense"]), None);
    }
}
