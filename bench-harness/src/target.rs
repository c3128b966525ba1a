//! Where the load goes: an http URL, resolved once. Only loopback is accepted unless the user says otherwise.

use std::net::{SocketAddr, ToSocketAddrs};

/// An endpoint, ready to be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As the user wrote it.
    pub url: String,
    /// What connections are made to.
    pub address: SocketAddr,
    /// The value of `Host`.
    pub host: String,
    /// The path, without a query, `/` at least.
    pub path: String,
}

/// Why a URL is no target.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not `http://HOST[:PORT][/PATH]`.
    #[error(
        "target {0:?} is not of the form http://HOST[:PORT][/PATH]; write for instance http://127.0.0.1:8088/collect"
    )]
    Form(String),
    /// The name has no address.
    #[error("target {url:?}: {host} has no address ({error}); check the name or write an IP address")]
    Name {
        /// The URL.
        url: String,
        /// Its host.
        host: String,
        /// The resolver's error.
        error: std::io::Error,
    },
    /// Not on this host, and not allowed.
    #[error(
        "target {url:?} is {address}, not this host: a load test of a machine that is not yours is an attack; if it is yours, add --allow-remote"
    )]
    Remote {
        /// The URL.
        url: String,
        /// What it resolved to.
        address: SocketAddr,
    },
}

impl Target {
    /// Reads and resolves `url`.
    ///
    /// # Errors
    /// See [`TargetError`]; anything but loopback is one, unless `allow_remote`.
    pub fn resolve(url: &str, allow_remote: bool) -> Result<Self, TargetError> {
        let form = || TargetError::Form(url.to_owned());
        let rest = url.strip_prefix("http://").ok_or_else(form)?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let well_formed = !authority.is_empty()
            && !authority.contains(['@', ' '])
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?' && byte != b'#');
        if !well_formed {
            return Err(form());
        }
        let with_port = if has_port(authority) { authority.to_owned() } else { format!("{authority}:80") };
        let address = with_port
            .to_socket_addrs()
            .map_err(|error| TargetError::Name { url: url.to_owned(), host: authority.to_owned(), error })?
            .next()
            .ok_or_else(form)?;
        if !allow_remote && !address.ip().is_loopback() {
            return Err(TargetError::Remote { url: url.to_owned(), address });
        }
        Ok(Self { url: url.to_owned(), address, host: authority.to_owned(), path: path.to_owned() })
    }
}

fn has_port(authority: &str) -> bool {
    let after_brackets = authority.rsplit(']').next().unwrap_or(authority);
    after_brackets.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_address_host_and_path() {
        let target = Target::resolve("http://127.0.0.1:8088/collect", false).unwrap();
        assert_eq!(
            (target.address.to_string().as_str(), target.host.as_str(), target.path.as_str()),
            ("127.0.0.1:8088", "127.0.0.1:8088", "/collect")
        );
        let target = Target::resolve("http://[::1]", false).unwrap();
        assert_eq!((target.address.to_string().as_str(), target.path.as_str()), ("[::1]:80", "/"));
    }

    #[test]
    fn only_this_host_is_a_target_unless_said() {
        let error = Target::resolve("http://192.0.2.1/collect", false).unwrap_err();
        assert!(error.to_string().contains("--allow-remote"), "{error}");
        assert!(Target::resolve("http://192.0.2.1/collect", true).is_ok());
    }

    #[test]
    fn what_is_no_url_says_how_one_looks() {
        for url in [
            "127.0.0.1:8088",
            "https://127.0.0.1/",
            "http://",
            "http:///x",
            "http://127.0.0.1/a b",
            "http://127.0.0.1/?q=1",
        ] {
            let error = Target::resolve(url, false).unwrap_err();
            assert!(error.to_string().contains("http://HOST"), "{url}: {error}");
        }
    }
}
