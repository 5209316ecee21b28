// Reads triggers with nothing but Kafka and the published schemas, and prints each as a line of JSON.
//
// node read.mjs --broker HOST:PORT --topic triggers.coupon --schemas DIR [--group NAME] [--count N]
//
// In: single Avro records in the Confluent wire format (a zero byte, four bytes of schema id, the record).
// Out: JSON lines. Never: a record of a transaction that was taken back: KafkaJS reads committed ones unless told not to.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import avro from "avsc";
import kafkajs from "kafkajs";
import lz4 from "lz4js";

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async ({ buffer }) => Buffer.from(lz4.compress(buffer)),
  decompress: async (buffer) => Buffer.from(lz4.decompress(buffer)),
});

const text = (name, value) => ({ [name]: { type: "string", default: value } });
const { values: given } = parseArgs({
  options: {
    ...text("broker", "127.0.0.1:9092"),
    ...text("topic", "triggers.coupon"),
    ...text("schemas", "schemas"),
    ...text("group", "siyu-example-reader"),
    ...text("count", "0"),
  },
});

// Which schema an id names: a schema registry answers it, or the list that is published with the schemas.
const published = JSON.parse(readFileSync(join(given.schemas, "registry.json"), "utf8"));
const types = new Map(
  published.map(({ subject, version, id }) => {
    const schema = readFileSync(join(given.schemas, "avro", subject, `v${version}.avsc`), "utf8");
    return [id, avro.Type.forSchema(JSON.parse(schema))];
  }),
);

function decoded(value) {
  if (value[0] !== 0) throw new Error("this is not the Confluent wire format");
  const type = types.get(value.readUInt32BE(1));
  if (!type) throw new Error(`no published schema has id ${value.readUInt32BE(1)}`);
  return type.fromBuffer(value.subarray(5));
}

const kafka = new Kafka({ clientId: given.group, brokers: [given.broker], logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: given.group });
let left = Number(given.count) || Infinity;

await consumer.connect();
await consumer.subscribe({ topics: [given.topic], fromBeginning: true });
await new Promise((done, failed) => {
  consumer.on(consumer.events.CRASH, ({ payload }) => failed(payload.error));
  consumer.run({
    eachMessage: async ({ message }) => {
      if (left <= 0) return;
      console.log(JSON.stringify(decoded(message.value)));
      left -= 1;
      if (left === 0) done();
    },
  });
});
await consumer.disconnect();
