# SPDX-License-Identifier: Apache-2.0
"""Names that are taken for another: one letter off a package that many use, or that base depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing._words import word_set

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHORTEST = 4
_KNOWN = {
    "pypi": word_set("""
requests urllib3 numpy pandas scipy scikit-learn torch tensorflow keras transformers datasets tokenizers matplotlib
seaborn pillow flask django fastapi starlette uvicorn gunicorn sqlalchemy alembic psycopg2 psycopg2-binary pymongo
redis boto3 botocore s3transfer awscli click typer rich pydantic jinja2 markupsafe pyyaml toml tomli attrs certifi
idna charset-normalizer chardet cryptography pyopenssl paramiko setuptools wheel pip virtualenv pytest hypothesis
tox black ruff mypy isort coverage httpx aiohttp celery kombu protobuf grpcio lightgbm xgboost catboost implicit
lightfm faiss-cpu polars pyarrow dask ray numba cython joblib tqdm nltk spacy gensim sentence-transformers openai
anthropic tiktoken beautifulsoup4 lxml selenium scrapy colorama python-dateutil pytz six packaging wcwidth decorator
ipython jupyter notebook opencv-python networkx sympy statsmodels plotly bokeh dash streamlit mlflow wandb
sentry-sdk prometheus-client structlog loguru simplejson orjson ujson msgpack websockets gevent greenlet tornado
pycryptodome pyjwt passlib bcrypt oauthlib kafka-python confluent-kafka elasticsearch google-cloud-storage
azure-storage-blob snowflake-connector-python recbole surprise lenskit recommenders
"""),
    "npm": word_set("""
react react-dom vue angular svelte next nuxt express koa fastify lodash underscore moment dayjs axios node-fetch
request commander chalk debug async bluebird webpack rollup vite esbuild typescript eslint prettier jest mocha chai
babel socket.io mongoose mongodb redis mysql pg sequelize prisma dotenv uuid nanoid semver minimist yargs glob
rimraf cross-env cross-spawn body-parser cookie-parser jsonwebtoken passport bcrypt winston pino nodemon puppeteer
playwright electron electron-native-notify event-stream colors faker left-pad tailwindcss postcss sass bootstrap
jquery rxjs redux zustand
"""),
    "crates": word_set("""
serde serde_json tokio hyper reqwest axum actix-web clap anyhow thiserror rand regex log env_logger tracing futures
async-trait chrono uuid once_cell lazy_static itertools rayon crossbeam parking_lot bytes syn quote proc-macro2 libc
rustls openssl tonic prost diesel sqlx base64 sha2 hmac rust_decimal ndarray num-traits num-bigint
"""),
}


def taken_for(name: str, ecosystem: str, known: Iterable[str]) -> str | None:
    """The known name that a new one can be taken for; None where it is itself known, or unlike all of them."""
    popular = _KNOWN.get(ecosystem, frozenset())
    candidates = sorted({*popular, *known} - {name})
    if name in popular or len(name) < _SHORTEST:
        return None
    flat = _flat(name)
    for other in candidates:
        if len(other) >= _SHORTEST and abs(len(other) - len(name)) <= 2:  # noqa: PLR2004 - an edit and a separator
            if flat == _flat(other) and name != other:
                return other
            if other in popular and _one_off(flat, _flat(other)):
                return other
            if other not in popular and len(flat) > 2 * _SHORTEST and _one_off(flat, _flat(other)):
                return other
    return None


def _flat(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter not in "-_.")


def _one_off(one: str, other: str) -> bool:
    """Whether two texts differ by one letter, or two neighbours that changed places (Damerau 1964).

    A digit at the end makes a version of the same family, which is no slip of a finger.
    """
    if one.rstrip("0123456789") == other.rstrip("0123456789"):
        return False
    if len(one) == len(other):
        different = [at for at in range(len(one)) if one[at] != other[at]]
        if len(different) == 1:
            return True
        return (
            len(different) == 2  # noqa: PLR2004 - two letters that changed places
            and different[1] == different[0] + 1
            and one[different[0]] == other[different[1]]
            and one[different[1]] == other[different[0]]
        )
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) != 1:
        return False
    return any(long[:at] + long[at + 1 :] == short for at in range(len(long)))
