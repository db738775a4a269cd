import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A file and a video through mediagate, over REST, with the JDK alone (17 or later):
 *
 *     java clients/examples/WatchVideo.java http://127.0.0.1:4000 "$(cat .mediagate/master_key)" README.md
 *
 * With stubs, made by `buf generate --template clients/buf.gen.java.yaml`, the same calls are methods of
 * FileServiceGrpc and VideoServiceGrpc, and a JSON library reads more than strings.
 */
public final class WatchVideo {
  private final HttpClient http = HttpClient.newHttpClient();
  private final String url;
  private final String key;

  private WatchVideo(String url, String key) {
    this.url = url;
    this.key = key;
  }

  public static void main(String[] arguments) throws Exception {
    Path path = Path.of(arguments[2]);
    WatchVideo gateway = new WatchVideo(arguments[0], arguments[1]);
    gateway.storeAndReadBack(path);
    gateway.makeAndWatch();
  }

  private void storeAndReadBack(Path path) throws IOException, InterruptedException {
    String boundary = UUID.randomUUID().toString();
    BodyPublisher form =
        BodyPublishers.concat(
            BodyPublishers.ofString(part(boundary, "name=\"purpose\"") + "user_data\r\n"),
            BodyPublishers.ofString(part(boundary, "name=\"file\"; filename=\"" + path.getFileName() + "\"")),
            BodyPublishers.ofFile(path),
            BodyPublishers.ofString("\r\n--" + boundary + "--\r\n"));
    String stored = text(request("/v1/files").header("content-type", "multipart/form-data; boundary=" + boundary).POST(form));
    String id = member(stored, "id");
    System.out.println("stored " + id);
    Path copy = path.resolveSibling(path.getFileName() + ".copy");
    System.out.println("read back " + save("/v1/files/" + id + "/content", copy) + " bytes");
    if (Files.mismatch(path, copy) != -1) throw new IOException("the copy is another file");
    text(request("/v1/files/" + id).DELETE());
  }

  private void makeAndWatch() throws IOException, InterruptedException {
    String wishes =
        "{\"model\": \"local-video\", \"prompt\": \"A paper boat on a river\", \"seconds\": \"2\", \"size\": \"320x180\"}";
    HttpRequest.Builder wish = request("/v1/videos").header("content-type", "application/json");
    String id = member(text(wish.POST(BodyPublishers.ofString(wishes))), "id");
    // Server-sent events: the stream ends with the video.
    var events = http.send(request("/v1/videos/" + id + "/events").build(), BodyHandlers.ofLines());
    for (Iterator<String> lines = events.body().iterator(); lines.hasNext(); ) {
      String line = lines.next();
      if (line.startsWith("event:")) System.out.println(line.substring(6).strip());
    }
    String status = member(text(request("/v1/videos/" + id)), "status");
    if (!status.equals("completed")) throw new IOException("the video " + status);
    long size = save("/v1/videos/" + id + "/content", Path.of("video.mp4"));
    System.out.println("downloaded " + size + " bytes to video.mp4");
    text(request("/v1/videos/" + id).DELETE());
  }

  private HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create(url + path)).header("authorization", "Bearer " + key);
  }

  private static String part(String boundary, String disposition) {
    return "--" + boundary + "\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n";
  }

  /** An answer of success; what else comes says why in `error.message`. */
  private String text(HttpRequest.Builder request) throws IOException, InterruptedException {
    var answer = http.send(request.build(), BodyHandlers.ofString());
    if (answer.statusCode() >= 300) throw new IOException(answer.statusCode() + " " + member(answer.body(), "message"));
    return answer.body();
  }

  /** A content that breaks off is an IOException: its length was announced. */
  private long save(String path, Path target) throws IOException, InterruptedException {
    var answer = http.send(request(path).build(), BodyHandlers.ofFile(target));
    if (answer.statusCode() != 200) throw new IOException("HTTP " + answer.statusCode());
    return Files.size(target);
  }

  /** The first string member of that name. */
  private static String member(String json, String name) {
    Matcher found = Pattern.compile("\"" + name + "\"\\s*:\\s*\"([^\"]*)\"").matcher(json);
    return found.find() ? found.group(1) : "";
  }
}
