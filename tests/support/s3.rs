//! An S3 server of the tests' own (`S3Mock`, a jar), and what its buckets hold.
//!
//! It stores multipart uploads as S3 does, compares the checksums of requests, parts and whole objects, and keeps headers.
//! It does not check signatures, permissions and regions, and never fails: [`crate::s3_proxy`] in front of it does.

pub mod api;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::kafka::process;
use crate::poll::poll_until;
use crate::port::ReservedPort;
use crate::record::Record;
use api::Reply;

/// A virtual machine has to load a few thousand classes first, next to whatever else runs.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// Id of the one key of KMS that the server knows.
pub const KMS_KEY: &str = "11111111-2222-3333-4444-555555555555";

/// One server. Dropped, it is killed.
#[derive(Debug)]
pub struct S3Server {
    plain: ReservedPort,
    tls: ReservedPort,
    dir: tempfile::TempDir,
    process: Option<Child>,
}

/// A bucket of a server.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Where its server listens.
    pub address: SocketAddr,
    /// Its name.
    pub name: String,
}

impl S3Server {
    /// A server without buckets that is not started.
    pub fn prepare() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self { plain: ReservedPort::take(), tls: ReservedPort::take(), dir, process: None }
    }

    /// A running server without buckets.
    pub fn start() -> Self {
        let mut server = Self::prepare();
        server.start_server();
        server
    }

    /// The server that the tests of one process share, each with a bucket of its own.
    pub fn shared() -> &'static Self {
        static SERVER: LazyLock<S3Server> = LazyLock::new(S3Server::start);
        &SERVER
    }

    /// Starts it, on the same port and with the same objects as before.
    ///
    /// # Panics
    /// When it was not fetched (`make setup-test` does) or does not come up.
    pub fn start_server(&mut self) {
        assert!(self.process.is_none(), "the S3 server runs already");
        let jar = tools().join("s3/s3mock.jar");
        assert!(jar.exists(), "no S3 server at {}: run `make setup-test`", jar.display());
        let log = fs::File::options().create(true).append(true).open(self.dir.path().join("server.log"));
        let log = log.expect("server.log");
        // The server leaves a file there that it then takes for a bucket.
        let _ = fs::remove_file(self.dir.path().join("objects/bucketMetadata.json"));
        let mut java = Command::new("java");
        java.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        java.arg(format!("-Dserver.port={}", self.tls.address.port()));
        java.arg(format!("-Dcom.adobe.testing.s3mock.http-port={}", self.plain.address.port()));
        java.arg("-jar").arg(jar);
        let store = "--com.adobe.testing.s3mock.store";
        java.arg(format!("{store}.root={}", self.dir.path().join("objects").display()));
        java.arg(format!("{store}.retain-files-on-exit=true"));
        java.arg(format!("{store}.valid-kms-keys=arn:aws:kms:us-east-1:111122223333:key/{KMS_KEY}"));
        java.current_dir(self.dir.path());
        java.stdin(Stdio::null()).stdout(log.try_clone().expect("server.log")).stderr(log);
        self.process = Some(process::spawn_tied_to_this_process(java));
        poll_until("the S3 server answers", START_PATIENCE, || {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten());
            assert!(ended.is_none(), "the server ended: {ended:?}\n{}", self.log());
            api::call(self.address(), "GET", "/", b"").ok().filter(|reply| reply.status == 200)
        });
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// SIGSTOP: it neither answers nor refuses.
    pub fn pause(&self) {
        process::signal(self.process.as_ref().expect("it runs"), libc::SIGSTOP);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        process::signal(self.process.as_ref().expect("it runs"), libc::SIGCONT);
    }

    /// Where it listens, or will.
    pub fn address(&self) -> SocketAddr {
        self.plain.address
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
    }

    /// A new bucket.
    pub fn bucket(&self) -> Bucket {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("events-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let bucket = Bucket { address: self.address(), name };
        bucket.make();
        bucket
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Bucket {
    fn call(&self, method: &str, rest: &str, body: &[u8]) -> Reply {
        let target = format!("/{}{rest}", self.name);
        api::call(self.address, method, &target, body)
            .unwrap_or_else(|error| panic!("{method} {target}: {error}"))
    }

    /// Makes it.
    pub fn make(&self) {
        let reply = self.call("PUT", "", b"");
        assert_eq!(reply.status, 200, "{}: {}", self.name, reply.text());
    }

    /// Every key that begins with `prefix`, ascending.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let (mut keys, mut token) = (Vec::new(), String::new());
        loop {
            let reply = self.call("GET", &format!("?list-type=2&prefix={}{token}", escape(prefix)), b"");
            assert_eq!(reply.status, 200, "{}", reply.text());
            keys.extend(api::elements(reply.text(), "Key"));
            let Some(next) = api::elements(reply.text(), "NextContinuationToken").pop() else { break };
            token = format!("&continuation-token={}", escape(&next));
        }
        keys.sort_unstable();
        keys
    }

    /// An object as it is stored.
    pub fn get(&self, key: &str) -> Reply {
        let reply = self.call("GET", &format!("/{}", escape(key)), b"");
        assert_eq!(reply.status, 200, "{key}: {}", reply.text());
        reply
    }

    /// Ids of the multipart uploads that are neither completed nor aborted.
    pub fn uploads(&self) -> Vec<String> {
        api::elements(self.call("GET", "?uploads", b"").text(), "UploadId")
    }

    /// The lines of an object.
    pub fn lines(&self, key: &str) -> Vec<String> {
        let bytes = self.get(key).body;
        let bytes = match key.rsplit_once('.').map(|(_, end)| end) {
            Some("gz") => {
                let mut decoded = Vec::new();
                let mut decoder = flate2::read::GzDecoder::new(bytes.as_slice());
                std::io::Read::read_to_end(&mut decoder, &mut decoded)
                    .unwrap_or_else(|error| panic!("{key}: {error}"));
                decoded
            }
            Some("zst") => {
                zstd::decode_all(bytes.as_slice()).unwrap_or_else(|error| panic!("{key}: {error}"))
            }
            _ => bytes,
        };
        let text = String::from_utf8(bytes).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert!(text.is_empty() || text.ends_with('\n'), "{key} ends inside a line");
        text.lines().map(str::to_owned).collect()
    }

    /// Every record below `prefix`, each checked against the contract.
    pub fn records(&self, prefix: &str) -> Vec<Record> {
        let parse = |line: String| Record::parse(&line).unwrap_or_else(|reason| panic!("stored: {reason}"));
        self.keys(prefix).iter().flat_map(|key| self.lines(key)).map(parse).collect()
    }
}

fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn tools() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os("MILLRUN_TOOLS").map_or_else(|| here.join("../.tools"), PathBuf::from)
}
