# SPDX-License-Identifier: Apache-2.0
"""Python's sinks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing._words import word_set
from diffing.capabilities.tables import Reach, Sink, SinkTable, sinks
from diffing.languages import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing._tree import Node

_TOPICS = ("topic", "topics", "queue", "QueueUrl", "TopicArn", "StreamName", "routing_key", "exchange", "stream")
_CLOUD = ("Bucket", "bucket", "bucket_name", "TableName", "endpoint_url", "url", "container_name", "FunctionName")
_URL = (0, "url", "base_url", "endpoint", "uri", "host")

_HTTP = {
    **sinks(Reach.HTTP, "requests httpx httpx2 aiohttp urllib3 niquests treq pycurl grequests cloudscraper", *_URL),
    **sinks(Reach.HTTP, "requests.request httpx.request requests.Session.request httpx.Client.request", 1, "url"),
    **sinks(
        Reach.HTTP, "httpx.AsyncClient.request aiohttp.ClientSession.request urllib3.PoolManager.request", 1, "url"
    ),
    **sinks(Reach.HTTP, "requests.Session requests.session httpx.Client httpx.AsyncClient", "base_url", quiet=True),
    **sinks(Reach.HTTP, "aiohttp.ClientSession urllib3.PoolManager", "base_url", quiet=True),
    **sinks(Reach.HTTP, "urllib.request urllib2 http.client xmlrpc.client tornado.httpclient", *_URL),
    **sinks(Reach.HTTP, "grpc.insecure_channel grpc.secure_channel grpc.aio", 0, "target"),
    **sinks(Reach.HTTP, "websockets websocket gql graphql_client", *_URL),
    **sinks(Reach.HTTP, "openai anthropic cohere replicate mistralai", "base_url"),
    **sinks(Reach.HTTP, "huggingface_hub", "repo_id", 0),
    "urllib.request.Request": Sink(Reach.HTTP, _URL, quiet=True),
    "grpc": None,
}
_HARMLESS = dict.fromkeys(
    word_set("""
requests.exceptions requests.adapters.Retry requests.models requests.status_codes requests.codes requests.Response
requests.auth requests.utils requests.packages requests.Timeout requests.RequestException requests.HTTPError
requests.ConnectionError requests.Session.close requests.Session.headers requests.Session.mount requests.Request
requests.adapters requests.structures requests.cookies
httpx.Response httpx.HTTPError httpx.HTTPStatusError httpx.RequestError httpx.TimeoutException httpx.Timeout
httpx.Limits httpx.Request httpx.URL httpx.Headers httpx.ASGITransport httpx.MockTransport httpx.ConnectError
httpx.codes httpx.WSGITransport
aiohttp.web aiohttp.web_request aiohttp.web_response aiohttp.web_exceptions
aiohttp.ClientTimeout aiohttp.ClientError aiohttp.ClientResponse aiohttp.ClientResponseError
aiohttp.test_utils aiohttp.TCPConnector aiohttp.ClientConnectorError aiohttp.ServerTimeoutError
urllib3.exceptions urllib3.util urllib3.Timeout urllib3.Retry urllib3.disable_warnings
urllib.request.pathname2url urllib.request.url2pathname http.client.HTTPException http.client.responses
http.client.HTTPMessage http.client.HTTPResponse http.client.OK
socket.AF_INET socket.AF_INET6 socket.AF_UNIX socket.SOCK_STREAM socket.SOCK_DGRAM socket.SOL_SOCKET
socket.SO_REUSEADDR socket.SO_REUSEPORT socket.error socket.timeout socket.gethostname socket.getfqdn socket.gaierror
socket.herror socket.inet_aton socket.inet_ntoa socket.inet_pton socket.inet_ntop socket.ntohs socket.htons
subprocess.PIPE subprocess.STDOUT subprocess.DEVNULL subprocess.CalledProcessError subprocess.TimeoutExpired
subprocess.CompletedProcess subprocess.SubprocessError
botocore.exceptions botocore.stub botocore.config boto3.exceptions boto3.dynamodb.conditions boto3.dynamodb.types
google.cloud.exceptions google.cloud.bigquery.SchemaField google.cloud.bigquery.ScalarQueryParameter
google.cloud.bigquery.ArrayQueryParameter google.cloud.bigquery.QueryJobConfig google.cloud.bigquery.LoadJobConfig
google.cloud.bigquery.WriteDisposition google.cloud.bigquery.SourceFormat google.cloud.aiplatform.gapic.types
kafka.errors confluent_kafka.KafkaError confluent_kafka.KafkaException pika.exceptions pika.BasicProperties
redis.exceptions redis.RedisError redis.ConnectionError
sentry_sdk.integrations opentelemetry.trace.Span opentelemetry.context opentelemetry.trace.StatusCode
opentelemetry.trace.Status opentelemetry.semconv prometheus_client.CollectorRegistry
smtplib.SMTPException email.utils torch.hub.get_dir torch.hub.set_dir
subprocess.list2cmdline multiprocessing
wandb.util wandb.errors mlflow.exceptions
pymongo.ASCENDING pymongo.DESCENDING pymongo.errors psycopg2.Error psycopg2.extras psycopg2.sql psycopg.sql
psycopg.Error openai.types openai.OpenAIError openai.RateLimitError openai.APIError
""")
)
_NETWORK = {
    **sinks(Reach.SOCKET, "socket", 0, "address", "host"),
    **sinks(Reach.SOCKET, "socket.socket.connect socket.socket.connect_ex socket.create_connection", 0, "address"),
    **sinks(Reach.SOCKET, "socket.socket.sendto", 1, "address"),
    **sinks(Reach.SOCKET, "asyncio.open_connection telnetlib ftplib paramiko fabric asyncssh", 0, "host", "hostname"),
    **sinks(Reach.SOCKET, "zmq paho.mqtt scapy dns.resolver nats pysftp", 0, "host"),
    **sinks(
        Reach.MAIL, "smtplib aiosmtplib sendgrid mailchimp postmarker yagmail django.core.mail flask_mail", 0, "host"
    ),
    **sinks(Reach.MAIL, "twilio slack_sdk discord telegram", 0, "channel", "to"),
}
_SERVICES = {
    **sinks(Reach.CLOUD, "boto3 botocore aioboto3 aiobotocore s3fs gcsfs adlfs", *_CLOUD),
    **sinks(Reach.CLOUD, "google.cloud.storage google.cloud.bigquery google.cloud.bigtable google.cloud", 0, *_CLOUD),
    **sinks(Reach.CLOUD, "azure.storage azure.cosmos azure.identity azure.ai azure.data minio oss2", *_CLOUD),
    **sinks(
        Reach.CLOUD, "sagemaker databricks snowflake pinecone qdrant_client weaviate fsspec gspread dropbox", *_CLOUD
    ),
    **sinks(Reach.QUEUE, "kafka confluent_kafka aiokafka faust", 0, *_TOPICS, "bootstrap_servers", "bootstrap.servers"),
    **sinks(Reach.QUEUE, "pika aio_pika kombu pulsar google.cloud.pubsub google.cloud.pubsub_v1", 0, *_TOPICS, "host"),
    **sinks(Reach.QUEUE, "azure.servicebus azure.eventhub stomp celery.Celery.send_task", 0, *_TOPICS),
    **sinks(
        Reach.DATABASE, "psycopg psycopg2 asyncpg pymysql MySQLdb mysql.connector sqlalchemy.create_engine", 0, "host"
    ),
    **sinks(
        Reach.DATABASE, "sqlalchemy.ext.asyncio.create_async_engine pymongo motor redis aioredis cassandra", 0, "host"
    ),
    **sinks(
        Reach.DATABASE, "elasticsearch opensearchpy clickhouse_driver clickhouse_connect neo4j pymemcache", 0, "hosts"
    ),
    **sinks(Reach.TELEMETRY, "sentry_sdk raven rollbar bugsnag newrelic honeycomb elasticapm", 0, "dsn"),
    **sinks(
        Reach.TELEMETRY, "statsd datadog ddtrace segment analytics mixpanel amplitude posthog rudderstack", 0, "host"
    ),
    **sinks(Reach.TELEMETRY, "snowplow_tracker aws_embedded_metrics logging.handlers.HTTPHandler", 0, "host"),
    **sinks(Reach.TELEMETRY, "logging.handlers.SocketHandler logging.handlers.SysLogHandler", 0, "host", "address"),
    **sinks(Reach.TELEMETRY, "logging.handlers.SMTPHandler logging.handlers.DatagramHandler fluent", 0, "host"),
    **sinks(Reach.TELEMETRY, "prometheus_client.push_to_gateway prometheus_client.pushadd_to_gateway", 0, "gateway"),
    **sinks(Reach.TELEMETRY, "opentelemetry.exporter wandb mlflow neptune comet_ml clearml", 0, "endpoint", "project"),
}
_RUNNING = {
    **sinks(
        Reach.PROCESS, "subprocess os.system os.popen os.posix_spawn os.posix_spawnp commands pexpect sh plumbum", 0
    ),
    **sinks(Reach.PROCESS, "os.execl os.execle os.execlp os.execlpe os.execv os.execve os.execvp os.execvpe", 0),
    **sinks(Reach.PROCESS, "os.spawnl os.spawnle os.spawnlp os.spawnlpe os.spawnv os.spawnve os.spawnvp pty.spawn", 0),
    **sinks(
        Reach.PROCESS, "asyncio.create_subprocess_exec asyncio.create_subprocess_shell docker kubernetes.client", 0
    ),
    **sinks(Reach.CODE, "eval exec compile __import__ builtins.eval builtins.exec builtins.compile", 0),
    **sinks(Reach.CODE, "importlib.import_module importlib.__import__ importlib.util.spec_from_file_location runpy", 0),
    **sinks(
        Reach.CODE, "importlib.util.module_from_spec importlib.machinery code.interact code.InteractiveInterpreter", 0
    ),
    **sinks(Reach.CODE, "ctypes.CDLL ctypes.cdll ctypes.WinDLL ctypes.windll ctypes.PyDLL cffi.FFI types.CodeType", 0),
    **sinks(Reach.CODE, "pickle.load pickle.loads pickle.Unpickler cPickle.load cPickle.loads dill.load dill.loads", 0),
    **sinks(Reach.CODE, "cloudpickle.load cloudpickle.loads marshal.load marshal.loads joblib.load shelve.open", 0),
    **sinks(
        Reach.CODE, "yaml.unsafe_load yaml.full_load jsonpickle.decode torch.hub.load torch.load pandas.read_pickle", 0
    ),
    **sinks(Reach.CODE, "site.addsitedir sys.meta_path sys.settrace", 0),
}
_FILES = {
    **sinks(
        Reach.FILE_READ, "open io.open codecs.open gzip.open bz2.open lzma.open aiofiles.open", 0, "file", bare=False
    ),
    **sinks(
        Reach.FILE_WRITE, "shutil os.remove os.unlink os.rename os.replace os.makedirs os.mkdir os.rmdir", 0, bare=False
    ),
    **sinks(
        Reach.FILE_WRITE,
        "os.chmod os.chown os.symlink os.link os.truncate tempfile numpy.save numpy.savez",
        0,
        bare=False,
    ),
    **sinks(Reach.FILE_WRITE, "pickle.dump joblib.dump torch.save json.dump yaml.dump", 1, bare=False),
    **sinks(Reach.FILE_READ, "numpy.load pandas.read_csv pandas.read_parquet polars.read_csv polars.read_parquet", 0),
    "shutil.which": None,
    "shutil.get_terminal_size": None,
    "tempfile.gettempdir": None,
    **sinks(Reach.ENVIRONMENT, "os.environ os.getenv os.environb environs decouple.config", 0, "key", bare=False),
    **sinks(Reach.LOG, "logging structlog loguru print", bare=False),
    "logging.handlers": None,
    "logging.config": None,
}
_FLAG = (0, "key", "flag_key", "flag", "name", "feature", "feature_key", "gate")
_FLAGS = {
    **sinks(
        Reach.RUNTIME, "ldclient UnleashClient flagsmith growthbook statsig optimizely splitio openfeature", *_FLAG
    ),
    **sinks(Reach.RUNTIME, "flagr waffle gargoyle configcat configcatclient posthog.feature_enabled", *_FLAG),
    **sinks(Reach.RUNTIME, "posthog.get_feature_flag firebase_admin.remote_config consul etcd3 kazoo.client", *_FLAG),
    **sinks(Reach.RUNTIME, "airflow.models.Variable.get", *_FLAG, bare=False),
}
_FLAG_METHODS = (
    "bool_variation string_variation int_variation float_variation json_variation variation_detail is_enabled "
    "get_boolean_value get_string_value get_float_value get_integer_value get_object_value get_treatment "
    "feature_enabled get_feature_flag is_feature_enabled get_feature_variable_double check_gate "
    "flag_is_active get_remote_config"
)


def bindings(statement: Node) -> Iterator[tuple[str, str]]:
    """``(p, requests.post)`` for ``from requests import post as p``. A relative module starts with its dots."""
    if not statement.text.startswith("from"):
        for child in statement.children:
            name, alias = _aliased(child)
            yield (alias, name) if alias else (name.partition(".")[0], name.partition(".")[0])
        return
    if not statement.children:
        return
    module = _module(statement.children[0])
    for child in statement.children[1:]:
        name, alias = _aliased(child)
        if name:
            yield alias or name, f"{module}.{name}" if not module.endswith(".") else f"{module}{name}"


def _aliased(node: Node) -> tuple[str, str]:
    if node.kind is Kind.DOTTED:
        return ".".join(part.text for part in node.children), ""
    if node.kind is Kind.OTHER and len(node.children) == 2:  # noqa: PLR2004 - name and alias
        return _aliased(node.children[0])[0], node.children[1].text
    return (node.text, "") if node.kind is Kind.NAME else ("", "")


def _module(node: Node) -> str:
    if node.kind is Kind.DOTTED:
        return ".".join(part.text for part in node.children)
    if node.kind is Kind.NAME:
        return node.text
    dots = sum(child.end - child.start for child in node.children if child.kind is Kind.OTHER) or 1
    return "." * dots + "".join(_module(child) for child in node.children if child.kind in {Kind.DOTTED, Kind.NAME})


PYTHON_SINKS = SinkTable(
    sinks={**_HTTP, **_NETWORK, **_SERVICES, **_RUNNING, **_FILES, **_FLAGS, **_HARMLESS},
    bindings=bindings,
    methods={
        **sinks(Reach.FILE_WRITE, "write_text write_bytes to_csv to_parquet to_pickle to_json"),
        **sinks(Reach.FILE_READ, "read_text read_bytes"),
        **sinks(Reach.MAIL, "sendmail send_mail send_email"),
        **sinks(Reach.CLOUD, "put_object upload_file upload_fileobj upload_blob upload_from_string put_item", *_CLOUD),
        **sinks(Reach.QUEUE, "send_and_wait basic_publish put_record put_records send_task", *_TOPICS, 0),
        **sinks(Reach.HTTP, "urlopen", 0),
        **sinks(Reach.RUNTIME, _FLAG_METHODS, *_FLAG),
    },
    opening={
        "open": 1,
        "io.open": 1,
        "codecs.open": 1,
        "gzip.open": 1,
        "bz2.open": 1,
        "lzma.open": 1,
        "aiofiles.open": 1,
    },
    builtins=word_set("open eval exec compile __import__ getattr print builtins"),
    fetching={"getattr": (0, 1), "builtins.getattr": (0, 1)},
)
