"""The database behind a URL, mysql://user:password@host:port/name?ssl_ca=file."""
import os
import ssl
from urllib.parse import parse_qs, unquote, urlsplit

import pymysql


def query(variable, sql, *args):
    url = urlsplit(os.environ[variable])
    authority = parse_qs(url.query).get("ssl_ca")
    with pymysql.connect(
        host=url.hostname,
        port=url.port or 3306,
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        database=url.path.lstrip("/"),
        ssl=ssl.create_default_context(cafile=authority[0]) if authority else None,
        autocommit=True,
        connect_timeout=2,
    ) as db, db.cursor() as cur:
        cur.execute(sql, args)
        return cur.fetchall()


def read(sql):
    return query("DATABASE_READ_URL", sql)


def write(sql, *args):
    return query("DATABASE_WRITE_URL", sql, *args)
