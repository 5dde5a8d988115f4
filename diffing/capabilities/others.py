# SPDX-License-Identifier: Apache-2.0
"""The sinks of JavaScript and TypeScript, Go, Java, Kotlin, Scala, Rust and Ruby."""

from __future__ import annotations

from diffing._words import word_set
from diffing.capabilities.bindings import by_dots, by_path, by_text, no_bindings
from diffing.capabilities.tables import Reach, SinkTable, sinks

_CLOUD = ("Bucket", "bucket", "endpoint", "TableName")

SCRIPT_SINKS = SinkTable(
    sinks={
        **sinks(
            Reach.HTTP,
            "fetch XMLHttpRequest axios node-fetch got undici ky superagent request http https http2",
            0,
            "url",
        ),
        **sinks(
            Reach.HTTP, "WebSocket EventSource ws socket.io-client navigator.sendBeacon @grpc/grpc-js openai", 0, "url"
        ),
        **sinks(Reach.SOCKET, "net dgram tls ssh2", 0, "host"),
        **sinks(Reach.PROCESS, "child_process execa shelljs cross-spawn", 0),
        **sinks(Reach.CODE, "eval Function vm vm2 module.createRequire", 0),
        **sinks(
            Reach.CLOUD, "aws-sdk @aws-sdk @google-cloud/storage @azure/storage-blob firebase firebase-admin", *_CLOUD
        ),
        **sinks(
            Reach.QUEUE, "kafkajs amqplib bullmq bull @google-cloud/pubsub nats mqtt", 0, "topic", "queue", "brokers"
        ),
        **sinks(Reach.MAIL, "nodemailer @sendgrid/mail mailgun.js twilio @slack/web-api", 0, "host", "to"),
        **sinks(
            Reach.TELEMETRY, "@sentry/node @sentry/browser analytics-node mixpanel posthog-node dd-trace", 0, "dsn"
        ),
        **sinks(
            Reach.DATABASE, "pg mysql mysql2 mongodb mongoose redis ioredis knex sequelize @elastic/elasticsearch", 0
        ),
        **sinks(Reach.RUNTIME, "launchdarkly-node-server-sdk unleash-client @growthbook/growthbook statsig-node", 0),
        **sinks(Reach.ENVIRONMENT, "process.env Deno.env", 0, bare=False),
        **sinks(Reach.FILE_READ, "fs fs/promises fs-extra", 0, bare=False),
        **sinks(
            Reach.FILE_WRITE, "fs.writeFile fs.writeFileSync fs.appendFile fs.createWriteStream fs.unlink fs.rm", 0
        ),
        **sinks(
            Reach.FILE_WRITE, "fs.promises.writeFile fs/promises.writeFile fs/promises.appendFile fs.appendFileSync", 0
        ),
        **sinks(Reach.LOG, "console winston pino", bare=False),
    },
    bindings=by_text,
    methods=sinks(Reach.RUNTIME, "boolVariation stringVariation numberVariation getTreatment isFeatureEnabled", 0),
    builtins=word_set("fetch XMLHttpRequest WebSocket EventSource navigator eval Function process Deno console"),
    loading=word_set("require import"),
)

GO_SINKS = SinkTable(
    sinks={
        **sinks(Reach.HTTP, "net/http.Get net/http.Post net/http.PostForm net/http.Head", 0),
        **sinks(Reach.HTTP, "net/http.NewRequest", 1),
        **sinks(Reach.HTTP, "net/http.NewRequestWithContext", 2),
        **sinks(Reach.HTTP, "net/http.Client.Do net/http.DefaultClient net/http.Client.Get net/http.Client.Post", 0),
        **sinks(Reach.HTTP, "github.com/go-resty/resty github.com/valyala/fasthttp google.golang.org/grpc.Dial", 0),
        **sinks(
            Reach.HTTP,
            "google.golang.org/grpc.NewClient github.com/gorilla/websocket github.com/sashabaranov/go-openai",
            0,
        ),
        **sinks(
            Reach.SOCKET, "net.Dial net.DialTimeout net.DialTCP net.DialUDP crypto/tls.Dial golang.org/x/crypto/ssh", 1
        ),
        **sinks(Reach.PROCESS, "os/exec.Command os/exec.LookPath os.StartProcess syscall.Exec", 0),
        **sinks(Reach.PROCESS, "os/exec.CommandContext", 1),
        **sinks(Reach.CODE, "plugin.Open github.com/dop251/goja github.com/expr-lang/expr unsafe.Pointer", 0),
        **sinks(Reach.CLOUD, "github.com/aws/aws-sdk-go github.com/aws/aws-sdk-go-v2 cloud.google.com/go", *_CLOUD),
        **sinks(Reach.CLOUD, "github.com/Azure/azure-sdk-for-go github.com/minio/minio-go", 0),
        **sinks(Reach.QUEUE, "github.com/segmentio/kafka-go github.com/IBM/sarama github.com/Shopify/sarama", 0),
        **sinks(Reach.QUEUE, "github.com/nats-io/nats.go github.com/rabbitmq/amqp091-go github.com/streadway/amqp", 0),
        **sinks(Reach.MAIL, "net/smtp", 0),
        **sinks(
            Reach.TELEMETRY, "github.com/getsentry/sentry-go github.com/DataDog go.opentelemetry.io/otel/exporters", 0
        ),
        **sinks(
            Reach.DATABASE, "database/sql.Open github.com/go-redis/redis github.com/redis/go-redis gorm.io/gorm.Open", 1
        ),
        **sinks(Reach.DATABASE, "go.mongodb.org/mongo-driver github.com/jackc/pgx", 1),
        **sinks(Reach.ENVIRONMENT, "os.Getenv os.LookupEnv", 0),
        **sinks(
            Reach.FILE_WRITE,
            "os.Create os.WriteFile os.Remove os.RemoveAll os.Rename os.Mkdir os.MkdirAll",
            0,
            bare=False,
        ),
        **sinks(Reach.FILE_READ, "os.Open os.ReadFile os.OpenFile io/ioutil.ReadFile", 0, bare=False),
        **sinks(Reach.LOG, "log log/slog go.uber.org/zap github.com/sirupsen/logrus", bare=False),
    },
    bindings=by_path,
    capitals=False,
    shared=True,
    apart=True,
)

_JVM = {
    **sinks(Reach.HTTP, "java.net.URL java.net.HttpURLConnection java.net.http okhttp3 org.apache.http", 0, bare=False),
    **sinks(
        Reach.HTTP,
        "org.apache.hc.client5 retrofit2.Retrofit io.ktor.client sttp.client sttp.client3 requests",
        0,
        bare=False,
    ),
    **sinks(
        Reach.HTTP,
        "org.springframework.web.client scalaj.http akka.http.scaladsl.Http com.twitter.finagle.Http",
        0,
        bare=False,
    ),
    **sinks(Reach.HTTP, "io.grpc.ManagedChannelBuilder", 0, bare=False),
    **sinks(
        Reach.SOCKET, "java.net.Socket java.net.DatagramSocket java.nio.channels.SocketChannel io.netty", 0, bare=False
    ),
    **sinks(
        Reach.PROCESS,
        "Runtime java.lang.Runtime ProcessBuilder java.lang.ProcessBuilder sys.process scala.sys.process",
        0,
        bare=False,
    ),
    **sinks(
        Reach.CODE,
        "Class.forName java.lang.Class.forName java.net.URLClassLoader javax.script java.io.ObjectInputStream",
        0,
        bare=False,
    ),
    **sinks(
        Reach.CODE, "java.lang.reflect.Method groovy.lang.GroovyShell System.load System.loadLibrary", 0, bare=False
    ),
    **sinks(Reach.CLOUD, "com.amazonaws software.amazon.awssdk com.google.cloud com.azure.storage", 0, bare=False),
    **sinks(Reach.QUEUE, "org.apache.kafka.clients com.rabbitmq.client org.apache.pulsar javax.jms", 0, bare=False),
    **sinks(Reach.MAIL, "javax.mail jakarta.mail org.springframework.mail", 0, bare=False),
    **sinks(Reach.TELEMETRY, "io.sentry com.datadog com.segment.analytics com.mixpanel", 0, bare=False),
    **sinks(
        Reach.DATABASE,
        "java.sql.DriverManager redis.clients.jedis com.mongodb io.lettuce com.zaxxer.hikari",
        0,
        bare=False,
    ),
    **sinks(
        Reach.ENVIRONMENT, "System.getenv System.getProperty java.lang.System.getenv sys.env sys.props scala.sys.env", 0
    ),
    **sinks(Reach.FILE_WRITE, "java.io.FileWriter java.io.FileOutputStream java.nio.file.Files.write", 0, bare=False),
    **sinks(Reach.FILE_READ, "java.io.FileReader java.io.FileInputStream java.nio.file.Files.read", 0, bare=False),
    **sinks(Reach.LOG, "org.slf4j java.util.logging org.apache.logging", bare=False),
}
_FLAGS = "boolVariation stringVariation doubleVariation intVariation getTreatment isFeatureEnabled"

JVM_SINKS = SinkTable(
    sinks=_JVM,
    bindings=by_dots,
    methods={
        **sinks(Reach.RUNTIME, _FLAGS, 0),
        **sinks(Reach.CLOUD, "putObject", *_CLOUD, 0),
        **sinks(Reach.CODE, "readObject", 0),
    },
    builtins=word_set("Runtime ProcessBuilder Class System sys"),
    shared=True,
)

RUST_SINKS = SinkTable(
    sinks={
        **sinks(
            Reach.HTTP,
            "reqwest hyper.Client ureq surf isahc tonic.transport tokio_tungstenite tungstenite",
            0,
            bare=False,
        ),
        **sinks(
            Reach.SOCKET, "std.net.TcpStream std.net.UdpSocket tokio.net.TcpStream tokio.net.UdpSocket", 0, bare=False
        ),
        **sinks(Reach.PROCESS, "std.process.Command tokio.process.Command nix.unistd.execv", 0, bare=False),
        **sinks(Reach.CODE, "libloading std.mem.transmute mlua rhai wasmtime", 0, bare=False),
        **sinks(Reach.CLOUD, "rusoto_s3 aws_sdk_s3 aws_sdk_dynamodb google_cloud_storage object_store", 0, bare=False),
        **sinks(Reach.QUEUE, "rdkafka lapin async_nats google_cloud_pubsub", 0, bare=False),
        **sinks(Reach.MAIL, "lettre", 0, bare=False),
        **sinks(Reach.TELEMETRY, "sentry opentelemetry_otlp", 0, bare=False),
        **sinks(Reach.DATABASE, "sqlx redis diesel tokio_postgres mongodb", 0, bare=False),
        **sinks(Reach.ENVIRONMENT, "std.env.var std.env.vars env.var", 0, bare=False),
        **sinks(Reach.FILE_WRITE, "std.fs.write std.fs.File.create std.fs.remove_file tokio.fs.write", 0, bare=False),
        **sinks(Reach.FILE_READ, "std.fs.read std.fs.read_to_string std.fs.File.open", 0, bare=False),
    },
    bindings=by_dots,
    builtins=word_set("std reqwest tokio ureq"),
)

RUBY_SINKS = SinkTable(
    sinks={
        **sinks(Reach.HTTP, "Net.HTTP HTTParty Faraday RestClient HTTP Excon Typhoeus Curl URI.open", 0, bare=False),
        **sinks(Reach.SOCKET, "TCPSocket UDPSocket Socket Net.SSH Net.FTP", 0, bare=False),
        **sinks(Reach.PROCESS, "system exec spawn Open3 IO.popen Process.spawn Kernel.system", 0, bare=False),
        **sinks(Reach.CODE, "eval instance_eval class_eval Marshal.load YAML.unsafe_load Kernel.eval", 0, bare=False),
        **sinks(Reach.CLOUD, "Aws Google.Cloud Azure Fog", 0, bare=False),
        **sinks(Reach.QUEUE, "Kafka Rdkafka Bunny", 0, bare=False),
        **sinks(Reach.MAIL, "Mail Net.SMTP SendGrid Twilio", 0, bare=False),
        **sinks(Reach.TELEMETRY, "Sentry Raven Datadog Mixpanel Segment", 0, bare=False),
        **sinks(Reach.DATABASE, "Redis PG Mysql2 Mongo", 0, bare=False),
        **sinks(Reach.RUNTIME, "Flipper LaunchDarkly Unleash", 0, bare=False),
        **sinks(Reach.ENVIRONMENT, "ENV", 0, bare=False),
        **sinks(Reach.FILE_WRITE, "File.write FileUtils File.delete IO.write", 0, bare=False),
        **sinks(Reach.FILE_READ, "File.read File.open IO.read", 0, bare=False),
        **sinks(Reach.LOG, "Rails.logger logger", bare=False),
    },
    bindings=no_bindings,
    shared=True,
    builtins=word_set("""
Net HTTParty Faraday RestClient HTTP Excon Typhoeus Curl URI TCPSocket UDPSocket Socket system exec spawn Open3 IO
Process Kernel eval Marshal YAML Aws Google Azure Fog Kafka Rdkafka Bunny Mail SendGrid Twilio Sentry Raven Datadog
Mixpanel Segment Redis PG Mysql2 Mongo Flipper LaunchDarkly Unleash ENV File FileUtils Rails logger
"""),
)

NATIVE_SINKS = SinkTable(
    sinks={
        **sinks(Reach.HTTP, "curl_easy_init curl_easy_setopt curl_easy_perform httplib.Client cpr.Get cpr.Post", 2),
        **sinks(Reach.SOCKET, "socket connect sendto gethostbyname getaddrinfo", 0, bare=False),
        **sinks(Reach.PROCESS, "system popen execv execve execvp execl execlp posix_spawn std.system", 0, bare=False),
        **sinks(Reach.CODE, "dlopen dlsym", 0, bare=False),
        **sinks(Reach.ENVIRONMENT, "getenv std.getenv", 0, bare=False),
        **sinks(Reach.FILE_WRITE, "std.ofstream fwrite", 0, bare=False),
        **sinks(Reach.FILE_READ, "std.ifstream fopen", 0, bare=False),
    },
    bindings=no_bindings,
    builtins=word_set("""
curl_easy_init curl_easy_setopt curl_easy_perform httplib cpr socket connect sendto gethostbyname getaddrinfo system
popen execv execve execvp execl execlp posix_spawn std dlopen dlsym getenv fwrite fopen
"""),
)
