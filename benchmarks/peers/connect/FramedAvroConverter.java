import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.storage.Converter;

/**
 * Our frame (0x00, schema id, Avro) as one flat record: the envelope's fields and the rest as JSON.
 *
 * <p>One schema for all events, because the sink begins a new batch whenever the schema changes: a
 * record for each type would make its batches a few rows long.
 */
public class FramedAvroConverter implements Converter {
    private static final int FRAME_BYTES = 5;
    private static final String[] ENVELOPE = {
        "event_id", "case_id", "version", "emitter", "emitter_sequence", "occurred_at",
        "recorded_at", "actor", "rule_set"
    };
    private static final Schema ROW = SchemaBuilder.struct().name("Event")
        .field("event_id", SchemaBuilder.string().name("io.debezium.data.Uuid").build())
        .field("case_id", Schema.STRING_SCHEMA)
        .field("version", Schema.INT64_SCHEMA)
        .field("emitter", Schema.STRING_SCHEMA)
        .field("emitter_sequence", Schema.INT64_SCHEMA)
        .field("occurred_at", Schema.INT64_SCHEMA)
        .field("recorded_at", Schema.INT64_SCHEMA)
        .field("actor", Schema.STRING_SCHEMA)
        .field("rule_set", Schema.STRING_SCHEMA)
        .field("event_type", Schema.STRING_SCHEMA)
        .field("body", SchemaBuilder.string().name("io.debezium.data.Json").build())
        .build();

    private record Type(String name, GenericDatumReader<GenericRecord> reader) {}

    private final Map<Integer, Type> types = new HashMap<>();
    private final JsonFactory json = new JsonFactory();
    private BinaryDecoder decoder;

    @Override
    public void configure(Map<String, ?> settings, boolean isKey) {
        Path folder = Path.of((String) settings.get("schemas.folder"));
        try {
            for (JsonNode line : new ObjectMapper().readTree(folder.resolve("catalogue.json").toFile())) {
                Path file = folder.resolve("events").resolve(line.get("file").asText());
                var schema = new org.apache.avro.Schema.Parser().parse(file.toFile());
                types.put(line.get("id").asInt(),
                    new Type(line.get("type").asText(), new GenericDatumReader<>(schema)));
            }
        } catch (IOException error) {
            throw new DataException(error);
        }
    }

    @Override
    public SchemaAndValue toConnectData(String topic, byte[] value) {
        Type type = types.get(ByteBuffer.wrap(value).getInt(1));
        try {
            decoder = DecoderFactory.get()
                .binaryDecoder(value, FRAME_BYTES, value.length - FRAME_BYTES, decoder);
            GenericRecord record = type.reader().read(null, decoder);
            Struct row = new Struct(ROW);
            for (int place = 0; place < ENVELOPE.length; place++) {
                Object field = record.get(place);
                row.put(ENVELOPE[place], field instanceof CharSequence ? field.toString() : field);
            }
            return new SchemaAndValue(ROW,
                row.put("event_type", type.name()).put("body", body(record)));
        } catch (IOException error) {
            throw new DataException(error);
        }
    }

    /** What follows the envelope. */
    private String body(GenericRecord record) throws IOException {
        StringWriter text = new StringWriter(1024);
        try (JsonGenerator out = json.createGenerator(text)) {
            write(out, record, ENVELOPE.length);
        }
        return text.toString();
    }

    private void write(JsonGenerator out, GenericRecord record, int first) throws IOException {
        out.writeStartObject();
        List<org.apache.avro.Schema.Field> fields = record.getSchema().getFields();
        for (int place = first; place < fields.size(); place++) {
            out.writeFieldName(fields.get(place).name());
            write(out, record.get(place));
        }
        out.writeEndObject();
    }

    private void write(JsonGenerator out, Object value) throws IOException {
        if (value == null) {
            out.writeNull();
        } else if (value instanceof Long number) {
            out.writeNumber(number);
        } else if (value instanceof Integer number) {
            out.writeNumber(number);
        } else if (value instanceof Double number) {
            out.writeNumber(number);
        } else if (value instanceof Boolean truth) {
            out.writeBoolean(truth);
        } else if (value instanceof GenericRecord record) {
            write(out, record, 0);
        } else if (value instanceof Collection<?> several) {
            out.writeStartArray();
            for (Object one : several) {
                write(out, one);
            }
            out.writeEndArray();
        } else if (value instanceof ByteBuffer bytes) {
            byte[] copy = new byte[bytes.remaining()];
            bytes.get(copy);
            out.writeBinary(copy);
        } else {
            out.writeString(value.toString());
        }
    }

    @Override
    public byte[] fromConnectData(String topic, Schema schema, Object value) {
        throw new DataException("this converter only reads");
    }
}
