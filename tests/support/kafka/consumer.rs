//! Reads a topic back by `kcat`, exactly: every record's lengths are printed in front of its bytes.

use std::process::Command;

use super::process::run;

/// A record as a consumer sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KafkaRecord {
    /// Partition.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// Key, where it has one.
    pub key: Option<Vec<u8>>,
    /// Value; empty where it is null.
    pub value: Vec<u8>,
}

/// Every record from the beginning to where each partition ends now, by partition and offset.
pub fn read_topic(brokers: &str, topic: &str) -> Vec<KafkaRecord> {
    let mut kcat = Command::new("kcat");
    kcat.args(["-C", "-b", brokers, "-t", topic, "-o", "beginning", "-e", "-q", "-u"]);
    kcat.args(["-X", "allow.auto.create.topics=false", "-f", "%p %o %K %S\n%k%s\n"]);
    let mut records = parse(&run(&mut kcat, "reading a topic back"));
    records.sort_unstable();
    records
}

fn parse(mut output: &[u8]) -> Vec<KafkaRecord> {
    let mut records = Vec::new();
    while !output.is_empty() {
        let end = output.iter().position(|&byte| byte == b'\n').expect("a line with the lengths");
        let line = std::str::from_utf8(&output[..end]).expect("numbers");
        let numbers: Vec<i64> = line.split(' ').map(|number| number.parse().expect(line)).collect();
        let [partition, offset, key_len, value_len] = numbers[..] else { panic!("four numbers in {line}") };
        output = &output[end + 1..];
        // A length of -1 is a null.
        let key = usize::try_from(key_len).ok().map(|len| take(&mut output, len));
        let value = take(&mut output, usize::try_from(value_len).unwrap_or(0));
        assert_eq!(take(&mut output, 1), b"\n", "the lengths fit");
        records.push(KafkaRecord { partition: i32::try_from(partition).expect("small"), offset, key, value });
    }
    records
}

fn take(bytes: &mut &[u8], len: usize) -> Vec<u8> {
    let (taken, rest) = bytes.split_at(len);
    *bytes = rest;
    taken.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive() {
        let output = b"0 7 -1 3\n\n\xff1\n1 8 2 0\nk\n\n2 9 0 2\n 1\n";
        let record = |partition, offset, key: Option<&[u8]>, value: &[u8]| KafkaRecord {
            partition,
            offset,
            key: key.map(<[u8]>::to_vec),
            value: value.to_vec(),
        };
        let expected =
            [record(0, 7, None, b"\n\xff1"), record(1, 8, Some(b"k\n"), b""), record(2, 9, Some(b""), b" 1")];
        assert_eq!(parse(output), expected);
    }
}
