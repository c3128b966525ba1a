//! What goes in comes out, byte for byte.

use millrun_sinks::kafka::{Compression, Options};
use millrun_sinks::{Fate, FaultKind, Health, Retry, Sink, Whose};

use super::lane::{Lane, PATIENCE};
use super::{options, shared_broker};

#[test]
fn many_batches_in_flight_come_out_byte_for_byte() {
    let broker = shared_broker();
    for (topic, compression) in [
        ("trip-none", Compression::None),
        ("trip-gzip", Compression::Gzip),
        ("trip-snappy", Compression::Snappy),
        ("trip-lz4", Compression::Lz4),
        ("trip-zstd", Compression::Zstd),
    ] {
        broker.create_topic(topic, 3, &[]);
        let mut lane = Lane::open(&Options { compression, ..options(broker.brokers(), topic) });
        assert_eq!(lane.sink.health(), Health::Unknown);
        for batch in 0..150_u32 {
            let values: Vec<Vec<u8>> = (0..30).map(|record| value(batch, record)).collect();
            let keys: Vec<Vec<u8>> = (0..30).map(key).collect();
            let records: Vec<(&[u8], &[u8])> =
                keys.iter().zip(&values).map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
            // Every third batch: only some of its records, as on a second attempt.
            let only = (batch % 3 == 0).then(|| (0..30).filter(|index| index % 4 != 1).collect());
            lane.submit(&records, only);
            if lane.in_flight() >= 64 {
                lane.turn(PATIENCE);
            }
        }
        lane.settle_all();
        assert_eq!(lane.sink.health(), Health::Up);
        assert_eq!(lane.account.faults().next(), None);
        let stored = broker.records(topic);
        lane.account.compare(&stored);
        for record in stored {
            let number = record.value.windows(9).find_map(|text| text.strip_prefix(b"record=")).unwrap();
            let number: u32 = std::str::from_utf8(&number[..2]).unwrap().parse().unwrap();
            assert_eq!(record.key.unwrap_or_default(), key(number), "no key stays none");
        }
    }
}

/// Every fifth record has no key; the others' are any bytes.
fn key(record: u32) -> Vec<u8> {
    if record.is_multiple_of(5) {
        Vec::new()
    } else {
        vec![0xff, 0, b'\n', u8::try_from(record % 256).unwrap()]
    }
}

/// From a few bytes to more than librdkafka copies (64 KiB).
fn value(batch: u32, record: u32) -> Vec<u8> {
    let mut value = format!("batch={batch:03} record={record:02}\n\0").into_bytes();
    let len = match (batch % 10, record) {
        (0, 7) => 70_000,
        (_, 3) => 5_000,
        _ => 50 + record as usize,
    };
    value.resize(len, b'\xfe');
    value
}

#[test]
fn a_record_of_the_largest_size_passes_a_broker_with_its_default_limit() {
    let broker = shared_broker();
    broker.create_topic("largest", 1, &[]);
    // Incompressible, so that compression can't hide what is too large.
    let mut random = fastrand::Rng::with_seed(7);
    for compression in [Compression::None, Compression::Lz4, Compression::Gzip] {
        let options = Options { compression, ..options(broker.brokers(), "largest") };
        let mut lane = Lane::open(&options);
        let mut largest = vec![0; options.record_bytes_max];
        random.fill(&mut largest);
        let (key, value) = largest.split_at(20);
        lane.submit(&[(b"", b"before"), (key, value), (b"", b"behind")], None);
        lane.settle_all();
        assert_eq!(lane.account.faults().next(), None);
        assert_eq!(lane.account.delivered(), 3);
        let stored = broker.records("largest");
        assert!(stored.iter().any(|record| record.value == value && record.key.as_deref() == Some(key)));
    }
}

#[test]
fn a_record_beyond_the_largest_size_is_the_clients_fault_and_alone() {
    let broker = shared_broker();
    broker.create_topic("beyond", 1, &[]);
    let mut lane = Lane::open(&Options { record_bytes_max: 10_000, ..options(broker.brokers(), "beyond") });
    let beyond = vec![b'b'; 11_000];
    lane.submit(&[(b"", b"small"), (b"", &beyond)], None);
    lane.settle_all();
    assert_eq!(lane.account.outcomes[&b"small"[..]], Ok(()));
    let fault = lane.account.outcomes[&beyond].unwrap_err();
    let expected = (FaultKind::RecordTooLarge, Whose::Client, Retry::No, Fate::NotStored);
    assert_eq!((fault.kind, fault.whose, fault.retry, fault.fate), expected);
    lane.account.compare(&broker.records("beyond"));
}
