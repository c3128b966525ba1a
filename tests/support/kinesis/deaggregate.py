# Reads Kinesis records, one a line in hexadecimal, and prints their user records as AWS's own module finds them:
# partition key and data, in hexadecimal.
import base64
import sys

from aws_kinesis_agg.deaggregator import deaggregate_records

records = [
    {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "sequenceNumber": "1",
            "approximateArrivalTimestamp": 0,
            "partitionKey": "outer",
            "data": base64.b64encode(bytes.fromhex(line.strip())),
        }
    }
    for line in sys.stdin
]
for record in deaggregate_records(records):
    kinesis = record["kinesis"]
    data = base64.b64decode(kinesis["data"])
    print(kinesis["partitionKey"].encode().hex(), data.hex())
