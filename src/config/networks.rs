//! Lists of addresses and CIDR ranges.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::{Deserialize, Deserializer, Error};

/// Reads `["10.0.0.0/8", "192.0.2.1"]`; a single address is the range that holds nothing else.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| {
            let single = || text.parse::<IpAddr>().map(IpNet::from);
            text.parse()
                .or_else(|_| single())
                .map_err(|_| D::Error::custom(format!("{text:?} is no address or CIDR range")))
        })
        .collect()
}
