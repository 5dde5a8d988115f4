# SPDX-License-Identifier: Apache-2.0
"""Where data can go: hosts, topics, buckets, and how they are told from other texts."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from diffing._words import word_set, words

_URL = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]{1,30})://([^\s/?#\\]{1,300})")
_HOST = re.compile(
    r"^(?=.{4,253}(?::|$))(?:[A-Za-z0-9_](?:[A-Za-z0-9_\-]{0,61}[A-Za-z0-9])?\.)+([A-Za-z]{2,24})\.?(?::(\d{1,5}))?$"
)
_PORTED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9_\-]{0,62}):(\d{2,5})$")
_ARN = re.compile(r"^arn:aws[\w\-]*:([\w\-]+):[^\s]{1,300}$")
_PLACEHOLDER = re.compile(r"[{}<>$%*]")
_NAME = re.compile(r"^[A-Za-z0-9][\w.\-/:]{1,200}$")
_NO_DOMAIN = word_set("""
py js ts json yaml yml toml txt md csv tsv html css xml sql sh lock cfg ini log png jpg jpeg gif svg pdf gz zip tar npy
npz pkl pt onnx parquet go rs java kt scala rb cc cpp hpp so dll exe bin dat db sqlite bak tmp mo po proto avro
jar whl conf env properties safetensors ipynb rst tex map min
""")
_CONNECTING = word_set("""
url urls uri endpoint endpoints host hosts hostname server servers broker brokers bootstrap webhook webhooks dsn address
addresses proxy upstream gateway remote mirror domain target base api callback collector sink origin
""")
_CHANNELS = {word + plural: word for word in ("topic", "queue", "bucket", "stream", "exchange") for plural in ("", "s")}
_DESCRIBING = word_set("""
homepage documentation docs repository bugs license licence funding schema issues changelog source readme badge
bug tracker author authors maintainers urls id help
""")
_STANDARDS = tuple(
    sorted(
        word_set("""
www.w3.org json-schema.org schema.org json.schemastore.org schemas.xmlsoap.org ns.adobe.com purl.org xmlns.com
schemas.microsoft.com www.apache.org creativecommons.org docs. spdx.org
""")
    )
)
_EXAMPLES = ("example.com", "example.org", "example.net", "example.edu")
_EXAMPLE_ENDS = (".example", ".test", ".invalid", ".example.com", ".example.org", ".example.net")
_COVERT = tuple(
    sorted(
        word_set("""
ngrok.io ngrok-free.app ngrok.app webhook.site requestbin.net pipedream.net pastebin.com transfer.sh file.io
serveo.net trycloudflare.com burpcollaborator.net oast.fun oast.pro interact.sh beeceptor.com 0x0.st termbin.com
onion duckdns.org no-ip.org requestcatcher.com loca.lt localhost.run temp.sh gofile.io
""")
    )
)


class Destination(NamedTuple):
    """Where data can go. ``kind`` is host, topic, queue, bucket, stream, exchange or address."""

    kind: str
    value: str

    @property
    def local(self) -> bool:
        """Whether it leads nowhere but to this machine, a private network's name, or a documentation's example."""
        host = self.value.partition(":")[0] if self.value.count(":") == 1 else self.value
        if (
            host in {"localhost", "host.docker.internal"}
            or host.endswith((".local", ".localhost", *_EXAMPLE_ENDS))
            or host in _EXAMPLES
        ):
            return True
        if self.kind == "host" and "." not in host and ":" not in host:
            return True  # a service's name inside a network
        address = _address(host)
        return address is not None and (address.is_private or address.is_loopback or address.is_unspecified)

    @property
    def covert(self) -> bool:
        """Whether it is a bare public address, or a relay that anybody can open without a name."""
        host = self.value.partition(":")[0] if self.value.count(":") == 1 else self.value
        if any(host == one or host.endswith(f".{one}") for one in _COVERT):
            return True
        return _address(host) is not None and not self.local


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def of_url(text: str) -> Destination | None:
    """The host that a URL names; None where the text is no URL, or its host is not said."""
    match = _URL.match(text.strip()) if "://" in text[:40] else None
    if match is None or match.group(1).lower() in {"file", "data", "about", "sqlite", "mailto"}:
        return None
    scheme = match.group(1).lower()
    host = match.group(2).rpartition("@")[2].lower().rstrip(".")
    if scheme in {"s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "wasb", "wasbs", "oss", "r2"}:
        return Destination("bucket", host) if not _PLACEHOLDER.search(host) else None
    host = re.sub(r":\d+$", "", host) if not host.endswith("]") else host
    if not host or _PLACEHOLDER.search(host) or "," in host:
        return None
    return Destination("host", host)


def of_text(text: str) -> Destination | None:
    """The destination that a text names where one is expected: a URL, host, address or resource name."""
    text = text.strip()
    found = of_url(text)
    if found is not None or "://" in text:
        return found
    if match := _ARN.match(text):
        return Destination("topic" if match.group(1) in {"sns", "sqs"} else "resource", text)
    host = text.rpartition(":")[0] if re.search(r":\d{1,5}$", text) else text
    if _address(host) is not None:
        return Destination("host", host)
    if match := _HOST.match(text):
        return Destination("host", host.lower()) if match.group(1).lower() not in _NO_DOMAIN else None
    if match := _PORTED.match(text):
        return Destination("host", match.group(1).lower())
    return Destination("host", text) if text == "localhost" else None


def of_setting(path: str, value: str) -> Destination | None:
    """The destination that a setting names, by its key and value."""
    parts = [part for part in re.split(r"[.\[\]]+", path) if part]
    if any(words(part) & _DESCRIBING and not words(part) & _CONNECTING - {"base"} for part in parts[-2:]):
        return None
    if parts and parts[-1].startswith("$"):
        return None
    found = of_url(value)
    if found is not None:
        return found if not is_standard(found.value) else None
    last = words(parts[-1]) if parts else frozenset()
    before = words(parts[-2]) if len(parts) > 1 else frozenset()
    channel = next((_CHANNELS[word] for word in sorted(last & _CHANNELS.keys())), None)
    if channel and _NAME.match(value) and not last & {"size", "length", "type", "class", "policy", "mode", "kind"}:
        return Destination(channel, value)
    if (last | before) & _CONNECTING:
        return of_text(value)
    return None


def connects(path: str) -> bool:
    """Whether a setting's key says that something connects to its value."""
    parts = [part for part in re.split(r"[.\[\]]+", path) if part]
    return any(words(part) & (_CONNECTING | _CHANNELS.keys()) for part in parts[-2:])


def is_standard(host: str) -> bool:
    """Whether a host names a standard or a documentation, which nothing is sent to."""
    return host.startswith(_STANDARDS) or host in _STANDARDS


def channel_of(argument: str | int, value: str) -> Destination | None:
    """The destination of an argument that names a topic, queue or bucket."""
    found = of_text(value)
    if found is not None:
        return found
    name = next((_CHANNELS[word] for word in words(str(argument)) if word in _CHANNELS), None)
    return Destination(name or "resource", value) if _NAME.match(value) else None
