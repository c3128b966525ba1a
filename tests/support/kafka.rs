//! A real Apache Kafka: one `KRaft` broker as a process, from its jars, in a temporary folder.
//!
//! It can be killed, stopped in its tracks, and started again on the same data and ports, and it always has a plain
//! listener, through which tests make topics ([`admin`]) and read them back ([`consumer`]). When the test process
//! ends, however it ends, the kernel ends the broker.

mod admin;
mod consumer;
mod iam;
pub(crate) mod process;
mod tls;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::poll::poll_until;
use crate::port::ReservedPort;

pub use consumer::KafkaRecord;

/// The user that SASL listeners know, by PLAIN and by SCRAM.
pub const USER: &str = "millrun";
/// Its password.
pub const PASSWORD: &str = "correct-horse";

/// A JVM on a busy machine.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// What can be chosen about a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaOptions {
    /// Whether unknown topics are made when they are asked for (`auto.create.topics.enable`).
    pub auto_create_topics: bool,
    /// Partitions of topics made that way.
    pub partitions: u32,
    /// Adds listeners with SASL (plain text), TLS, and both.
    pub secure: bool,
    /// Whether the listener with both also signs clients in by AWS credentials, as Amazon MSK does. Needs `secure`.
    pub iam: bool,
    /// Further lines of `server.properties`.
    pub properties: Vec<(String, String)>,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self { auto_create_topics: true, partitions: 1, secure: false, iam: false, properties: Vec::new() }
    }
}

/// One broker. Dropped, it is killed.
#[derive(Debug)]
pub struct KafkaServer {
    dir: tempfile::TempDir,
    ports: Ports,
    broker: Option<Child>,
}

#[derive(Debug)]
struct Ports {
    plain: ReservedPort,
    controller: ReservedPort,
    sasl: ReservedPort,
    tls: ReservedPort,
    sasl_tls: ReservedPort,
}

impl KafkaServer {
    /// A running broker.
    ///
    /// # Panics
    /// When the jars are missing (`make setup-test` fetches them) or the broker does not come up.
    pub fn start() -> Self {
        Self::start_with(&KafkaOptions::default())
    }

    /// A running broker with `options`.
    pub fn start_with(options: &KafkaOptions) -> Self {
        let mut server = Self::prepare(options);
        server.start_broker();
        server
    }

    /// A broker that has its ports and its storage, but does not run yet: [`KafkaServer::start_broker`].
    pub fn prepare(options: &KafkaOptions) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let ports = Ports {
            plain: ReservedPort::take(),
            controller: ReservedPort::take(),
            sasl: ReservedPort::take(),
            tls: ReservedPort::take(),
            sasl_tls: ReservedPort::take(),
        };
        let server = Self { dir, ports, broker: None };
        if options.secure {
            tls::make_certificates(server.dir.path());
        }
        if options.iam {
            iam::prepare(server.dir.path(), &jars());
        }
        fs::write(server.properties_file(), server.properties(options)).expect("server.properties");
        server.format_storage();
        server
    }

    /// Starts the broker, for the first time or again, and waits until it answers.
    ///
    /// # Panics
    /// When it runs already, or does not come up.
    pub fn start_broker(&mut self) {
        assert!(self.broker.is_none(), "the broker runs already");
        let log = fs::File::options().create(true).append(true).open(self.log_file()).expect("broker.log");
        let mut java = self.java();
        java.arg("-Xmx512m").arg("kafka.Kafka").arg(self.properties_file());
        java.stdin(Stdio::null()).stdout(log.try_clone().expect("broker.log")).stderr(log);
        self.broker = Some(process::spawn_tied_to_this_process(java));
        poll_until("the Kafka broker answers", START_PATIENCE, || {
            let ended = self.broker.as_mut().and_then(|broker| broker.try_wait().ok().flatten());
            assert!(ended.is_none(), "the broker ended: {ended:?}\n{}", self.log_tail());
            admin::is_ready(self.ports.plain.address).then_some(())
        });
    }

    /// Kills the broker (SIGKILL). Its storage stays.
    pub fn kill(&mut self) {
        if let Some(mut broker) = self.broker.take() {
            let _ = broker.kill();
            let _ = broker.wait();
        }
    }

    /// Kills the broker and starts it on the same storage and ports.
    pub fn restart(&mut self) {
        self.kill();
        self.start_broker();
    }

    /// Stops the broker in its tracks (SIGSTOP): connections stay open, nothing is answered.
    pub fn pause(&self) {
        process::signal(self.broker.as_ref().expect("the broker runs"), libc::SIGSTOP);
    }

    /// Lets a paused broker go on (SIGCONT).
    pub fn resume(&self) {
        process::signal(self.broker.as_ref().expect("the broker runs"), libc::SIGCONT);
    }

    /// `host:port` of the plain listener.
    pub fn brokers(&self) -> String {
        self.ports.plain.address.to_string()
    }

    /// `host:port` of the listener with SASL and no TLS.
    pub fn sasl_brokers(&self) -> String {
        self.ports.sasl.address.to_string()
    }

    /// `host:port` of the listener with TLS and no SASL.
    pub fn tls_brokers(&self) -> String {
        self.ports.tls.address.to_string()
    }

    /// `host:port` of the listener with TLS and SASL.
    pub fn sasl_tls_brokers(&self) -> String {
        self.ports.sasl_tls.address.to_string()
    }

    /// The authority that has signed the broker's certificate, PEM.
    pub fn ca_file(&self) -> PathBuf {
        tls::ca_file(self.dir.path())
    }

    /// Makes a topic, with topic-level settings such as `max.message.bytes`.
    pub fn create_topic(&self, topic: &str, partitions: u32, settings: &[(&str, &str)]) {
        admin::create_topic(self.ports.plain.address, topic, partitions, settings);
    }

    /// Every record of `topic`, from the beginning to where it ends now, by partition and offset.
    pub fn records(&self, topic: &str) -> Vec<KafkaRecord> {
        consumer::read_topic(&self.brokers(), topic)
    }

    /// Number of the broker's process, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.broker.as_ref().map(Child::id)
    }

    /// Signs in from now on who has one of these AWS keys (id and secret). The broker has `iam`.
    pub fn set_iam_keys(&self, keys: &[(&str, &str)]) {
        iam::set_keys(self.dir.path(), keys);
    }

    /// Sign-ins by AWS credentials until now: "key time", the token's time in ms since the epoch.
    pub fn iam_accepted(&self) -> Vec<String> {
        iam::notes(self.dir.path(), "accepted")
    }

    /// Why sign-ins by AWS credentials were refused until now.
    pub fn iam_refused(&self) -> Vec<String> {
        iam::notes(self.dir.path(), "refused")
    }

    /// Java with the broker's jars, tuned to be up soon rather than to be fast.
    fn java(&self) -> Command {
        let iam = iam::folder(self.dir.path());
        let mut java = Command::new("java");
        java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]);
        java.arg(format!("-Dmillrun.iam={}", iam.display()));
        java.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
        java.arg("-cp").arg(format!("{}:{}", jars().join("*").display(), iam.display()));
        java
    }

    fn properties_file(&self) -> PathBuf {
        self.dir.path().join("server.properties")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("broker.log")
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(30).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn format_storage(&self) {
        let mut java = self.java();
        java.args(["kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c"]);
        java.arg(self.properties_file());
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            java.arg("--add-scram").arg(format!("{mechanism}=[name={USER},password={PASSWORD}]"));
        }
        process::run(&mut java, "formatting Kafka's storage");
    }

    fn properties(&self, options: &KafkaOptions) -> String {
        let ports = &self.ports;
        let data = self.dir.path().join("data");
        let mut listeners =
            format!("PLAIN://{},CONTROLLER://{}", ports.plain.address, ports.controller.address);
        if options.secure {
            let (sasl, tls, both) = (ports.sasl.address, ports.tls.address, ports.sasl_tls.address);
            write!(listeners, ",SASL://{sasl},TLS://{tls},SASLTLS://{both}").expect("memory");
        }
        let mut text = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@{controller}\n\
             controller.listener.names=CONTROLLER\n\
             listeners={listeners}\n\
             listener.security.protocol.map=PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,\
             SASLTLS:SASL_SSL\n\
             inter.broker.listener.name=PLAIN\n\
             log.dirs={data}\n\
             auto.create.topics.enable={auto_create}\n\
             num.partitions={partitions}\n\
             offsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.num.partitions=1\n\
             transaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n",
            controller = ports.controller.address,
            data = data.display(),
            auto_create = options.auto_create_topics,
            partitions = options.partitions,
        );
        if options.secure {
            text.push_str(&tls::properties(self.dir.path()));
            text.push_str(&sasl_properties(options.iam));
        }
        for (key, value) in &options.properties {
            writeln!(text, "{key}={value}").expect("memory");
        }
        text
    }
}

impl Drop for KafkaServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn sasl_properties(iam: bool) -> String {
    let mut text = String::new();
    if iam {
        text.push_str(&iam::properties("sasltls"));
    }
    for (listener, more) in [("sasl", ""), ("sasltls", if iam { ",OAUTHBEARER" } else { "" })] {
        let name = format!("listener.name.{listener}");
        writeln!(
            text,
            "{name}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512{more}\n\
             {name}.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
             user_{USER}=\"{PASSWORD}\";\n\
             {name}.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             {name}.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;"
        )
        .expect("memory");
    }
    text
}

fn jars() -> PathBuf {
    let tools = std::env::var_os("MILLRUN_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").join(".tools"),
        PathBuf::from,
    );
    let jars = tools.join("kafka");
    assert!(jars.join("pom.xml").exists(), "no Kafka in {}: run `make setup-test`", jars.display());
    jars
}
