import java.io.IOException;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerExtensionsValidatorCallback;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/**
 * What Amazon MSK's brokers do with a token of IAM: takes it apart and signs it again, by the AWS documentation of
 * Signature Version 4 ("Create a signed AWS API request", query parameters) and with the JDK's HMAC only.
 *
 * <p>Reads at each sign-in, from the folder of the system property {@code millrun.iam}: {@code keys}, a Java properties
 * file of access key ids and secrets. Appends to {@code accepted} and {@code refused}, a line for each sign-in.
 */
public final class MskIamValidator implements AuthenticateCallbackHandler {
  private static final DateTimeFormatter AMZ_DATE =
      DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);
  private static final String NO_BODY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

  private final Path dir = Path.of(System.getProperty("millrun.iam"));

  @Override
  public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> entries) {}

  @Override
  public void close() {}

  @Override
  public void handle(Callback[] callbacks) throws IOException, UnsupportedCallbackException {
    for (Callback callback : callbacks) {
      if (callback instanceof OAuthBearerValidatorCallback validator) {
        validate(validator);
      } else if (callback instanceof OAuthBearerExtensionsValidatorCallback extensions) {
        extensions.inputExtensions().map().keySet().forEach(extensions::valid);
      } else {
        throw new UnsupportedCallbackException(callback);
      }
    }
  }

  private void validate(OAuthBearerValidatorCallback callback) throws IOException {
    try {
      Token token = check(callback.tokenValue());
      callback.token(token);
      note("accepted", token.principalName + " " + token.startTimeMs);
    } catch (Refused refused) {
      callback.error("invalid_token", null, null);
      note("refused", refused.getMessage());
    } catch (Exception broken) {
      callback.error("invalid_token", null, null);
      note("refused", broken.toString());
    }
  }

  private void note(String file, String line) throws IOException {
    Files.writeString(dir.resolve(file), line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
  }

  private Token check(String value) throws Exception {
    if (value.contains("=")) throw new Refused("padding");
    URI url = URI.create(new String(Base64.getUrlDecoder().decode(value), StandardCharsets.UTF_8));
    // Encoded names to encoded values, in the order that the signature wants.
    TreeMap<String, String> query = new TreeMap<>();
    for (String part : url.getRawQuery().split("&")) {
      String[] pair = part.split("=", 2);
      if (query.put(pair[0], pair[1]) != null) throw new Refused("twice: " + pair[0]);
    }
    if (query.remove("User-Agent") == null) throw new Refused("no User-Agent");
    String signature = query.remove("X-Amz-Signature");
    String[] scope = decoded(query.get("X-Amz-Credential")).split("/");
    if (scope.length != 5) throw new Refused("credential " + String.join("/", scope));
    String id = scope[0];
    String date = query.get("X-Amz-Date");
    expect("scheme", "https", url.getScheme());
    expect("path", "/", url.getRawPath());
    expect("host", "kafka." + scope[2] + ".amazonaws.com", url.getHost());
    expect("action", "kafka-cluster:Connect", decoded(query.get("Action")));
    expect("algorithm", "AWS4-HMAC-SHA256", query.get("X-Amz-Algorithm"));
    expect("expires", "900", query.get("X-Amz-Expires"));
    expect("signed headers", "host", query.get("X-Amz-SignedHeaders"));
    expect("date", date.substring(0, 8), scope[1]);
    expect("service", "kafka-cluster", scope[3]);
    expect("end of the scope", "aws4_request", scope[4]);
    long start = Instant.from(AMZ_DATE.parse(date)).toEpochMilli();
    long now = System.currentTimeMillis();
    if (now < start - 300_000 || now > start + 900_000) throw new Refused("expired: " + date);
    Properties keys = new Properties();
    try (var reader = Files.newBufferedReader(dir.resolve("keys"))) {
      keys.load(reader);
    }
    String secret = keys.getProperty(id);
    if (secret == null) throw new Refused("unknown key: " + id);
    StringBuilder canonicalQuery = new StringBuilder();
    query.forEach((name, text) -> canonicalQuery.append(canonicalQuery.isEmpty() ? "" : "&").append(name).append('=').append(text));
    String canonical = "GET\n/\n" + canonicalQuery + "\nhost:" + url.getHost() + "\n\nhost\n" + NO_BODY;
    String scopeText = String.join("/", scope[1], scope[2], scope[3], scope[4]);
    String toSign = "AWS4-HMAC-SHA256\n" + date + "\n" + scopeText + "\n"
        + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(canonical.getBytes(StandardCharsets.UTF_8)));
    byte[] key = ("AWS4" + secret).getBytes(StandardCharsets.UTF_8);
    for (int part = 1; part < scope.length; part++) key = hmac(key, scope[part]);
    expect("signature", HexFormat.of().formatHex(hmac(key, toSign)), signature);
    return new Token(value, id, start, start + 900_000);
  }

  private static byte[] hmac(byte[] key, String text) throws Exception {
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(key, "HmacSHA256"));
    return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
  }

  private static String decoded(String text) {
    return URLDecoder.decode(text, StandardCharsets.UTF_8);
  }

  private static void expect(String what, String expected, String found) throws Refused {
    if (!expected.equals(found)) throw new Refused(what + ": " + found + " instead of " + expected);
  }

  private static final class Refused extends Exception {
    Refused(String why) {
      super(why);
    }
  }

  private record Token(String value, String principalName, Long startTimeMs, long lifetimeMs) implements OAuthBearerToken {
    @Override
    public Set<String> scope() {
      return Set.of();
    }
  }
}
