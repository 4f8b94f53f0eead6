import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.HexFormat;
import java.util.Map;
import java.util.UUID;
import javax.imageio.ImageIO;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.message.BinaryMessageEncoder;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** JPEG and PNG files into a stream, with nothing of framefuse but its schema: Publish BROKER STREAM FILE... */
public final class Publish {
    private static final String TOPIC = System.getenv().getOrDefault("FRAMEFUSE_PREFIX", "framefuse") + ".frames";

    public static void main(String[] arguments) throws Exception {
        Schema schema = new Schema.Parser().parse(new File("schemas/frame.avsc"));
        var encoder = new BinaryMessageEncoder<GenericRecord>(GenericData.get(), schema);
        String stream = arguments[1];
        String run = uuid7(); // one life of this publisher: sequences begin anew in each
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0], "max.request.size", 8 << 20);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer())) {
            for (int sequence = 0; sequence < arguments.length - 2; sequence++) {
                Path file = Path.of(arguments[sequence + 2]);
                GenericRecord frame = frame(schema, stream, run, sequence, Files.readAllBytes(file));
                byte[] value = encoder.encode(frame).array();
                // The answer says that it is accepted: from here on it ends in exactly one outcome.
                var accepted = producer.send(new ProducerRecord<>(TOPIC, stream, value)).get();
                System.out.printf("%s is frame %s at %s%n", file, frame.get("frame_id"), accepted);
            }
        }
    }

    private static GenericRecord frame(Schema schema, String stream, String run, long sequence, byte[] image)
            throws Exception {
        BufferedImage picture = ImageIO.read(new ByteArrayInputStream(image));
        String encoding = image[0] == (byte) 0xFF ? "JPEG" : "PNG";
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(image);
        return new GenericRecordBuilder(schema)
                .set("frame_id", uuid7())
                .set("stream_id", stream)
                .set("run_id", run)
                .set("sequence", sequence)
                .set("captured_at", ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now()))
                .set("attempt", 0)
                .set("live", false) // true for a camera, and then freshness_ms, such as 500
                .set("width", picture.getWidth())
                .set("height", picture.getHeight())
                .set("encoding", new GenericData.EnumSymbol(schema.getField("encoding").schema(), encoding))
                .set("image", ByteBuffer.wrap(image))
                .set("sha256", HexFormat.of().formatHex(digest))
                .build(); // what is not set has its default
    }

    /** A UUID of version 7: it begins with the time, so that runs sort by when they began. */
    private static String uuid7() {
        UUID random = UUID.randomUUID();
        long timeAndVersion = System.currentTimeMillis() << 16 | 0x7000;
        long most = timeAndVersion | random.getMostSignificantBits() & 0xFFF;
        return new UUID(most, random.getLeastSignificantBits()).toString();
    }
}
