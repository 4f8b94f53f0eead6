"""The leaf: record schemas, the records as dataclasses, topics and the Avro codec."""
