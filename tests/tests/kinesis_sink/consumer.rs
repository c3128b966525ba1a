//! What a consumer that is built on the KCL makes of a stream: it takes aggregated records apart, and drops user
//! records whose hash key is not in the range of the shard it read them from.

use millrun_sinks::kpl::{self, Content};
use support::kinesis::KinesisServer;

/// The values of a stream, in the order of each shard.
pub fn values(server: &KinesisServer, stream: &str) -> Vec<Vec<u8>> {
    let shards = server.shards(stream);
    let mut values = Vec::new();
    for record in server.records(stream) {
        match kpl::read(&record.data).unwrap() {
            Content::Plain(data) => values.push(data.to_vec()),
            Content::Aggregated(records) => {
                let shard = shards.iter().find(|shard| shard.id == record.shard).unwrap();
                let range = shard.first..=shard.last;
                let kept = records.iter().filter(|record| range.contains(&record.hash_key()));
                values.extend(kept.map(|record| record.data.to_vec()));
            }
        }
    }
    values
}
