//! An authority of the test's own, and a certificate by it for the broker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::run;

/// The authority's certificate.
pub fn ca_file(dir: &Path) -> PathBuf {
    dir.join("ca.pem")
}

/// Makes the authority, the broker's key and its certificate in `dir`.
pub fn make_certificates(dir: &Path) {
    const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let openssl = |arguments: &[&str]| {
        run(Command::new("openssl").current_dir(dir).args(arguments), "making certificates");
    };
    let authority = ["-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=authority of a test"];
    openssl(&[&["req", "-x509"], &KEY[..], &authority].concat());
    let names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
    let request = ["-keyout", "broker.key", "-out", "broker.csr", "-subj", "/CN=127.0.0.1", "-addext", names];
    openssl(&[&["req"], &KEY[..], &request].concat());
    openssl(&[
        "x509",
        "-req",
        "-in",
        "broker.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-out",
        "broker.pem",
        "-days",
        "2",
        "-copy_extensions",
        "copy",
    ]);
    // Kafka wants key and certificate in one file.
    let (key, certificate) = (fs::read(dir.join("broker.key")), fs::read(dir.join("broker.pem")));
    let both = [key.expect("broker.key"), certificate.expect("broker.pem")].concat();
    fs::write(dir.join("keystore.pem"), both).expect("keystore.pem");
}

/// The broker's settings for it.
pub fn properties(dir: &Path) -> String {
    format!(
        "ssl.keystore.type=PEM\nssl.keystore.location={}\nssl.truststore.type=PEM\nssl.truststore.location={}\n",
        dir.join("keystore.pem").display(),
        ca_file(dir).display()
    )
}
