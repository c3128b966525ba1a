//! The contract of every sink, on a server and without one.

use std::cell::Cell;
use std::time::Duration;

use millrun_sinks::conformance::{self, Subject};
use millrun_sinks::kinesis::{Compression, KinesisSink, Options, Spread, open};
use millrun_sinks::{Wake, kpl};

use super::{consumer, options, shared_server};

struct Stream {
    options: Options,
    works: bool,
    opened: Cell<usize>,
}

impl Subject for Stream {
    type Sink = KinesisSink;

    fn open(&self, wake: Wake) -> KinesisSink {
        self.opened.set(self.opened.get() + 1);
        open(&self.options, wake).unwrap()
    }

    fn stored(&self) -> Option<Vec<Vec<u8>>> {
        let values = self.works.then(|| consumer::values(shared_server(), &self.options.stream))?;
        Some(match self.options.compression {
            Compression::Zstd { .. } => {
                values.iter().map(|value| zstd::decode_all(value.as_slice()).unwrap()).collect()
            }
            _ => values,
        })
    }

    fn works(&self) -> bool {
        self.works
    }

    fn patience(&self) -> Duration {
        if self.works { Duration::from_mins(1) } else { Duration::from_secs(2) }
    }
}

fn conforms(options: Options, works: bool) {
    let subject = Stream { options, works, opened: Cell::new(0) };
    conformance::all(&subject);
    assert!(subject.opened.get() >= 7);
}

#[test]
fn plain_records_conform() {
    let server = shared_server();
    server.create_stream("conforms-plain", 2);
    conforms(options(server.endpoint(), "conforms-plain"), true);
}

#[test]
fn aggregated_and_compressed_records_conform() {
    let server = shared_server();
    server.create_stream("conforms-aggregated", 3);
    let mut options = options(server.endpoint(), "conforms-aggregated");
    options.aggregate_bytes_max = Some(2048);
    options.compression = Compression::Zstd { level: 3 };
    options.spread = Spread::Even;
    options.linger = Duration::from_millis(5);
    conforms(options, true);
    let records = server.records("conforms-aggregated");
    let aggregated =
        records.iter().filter(|record| matches!(kpl::read(&record.data), Ok(kpl::Content::Aggregated(_))));
    assert!(aggregated.count() > 0);
}

#[test]
fn without_a_server_the_contract_holds_too() {
    // A port that is taken and does not listen.
    let port = support::port::ReservedPort::take();
    conforms(options(format!("http://{}", port.address), "nowhere"), false);
}
