"""The database behind two URLs, mysql://user:password@host:port/name?ssl_ca=file: one to write, one to read."""

import contextlib
import os
import ssl
from urllib.parse import parse_qs, unquote, urlsplit

import pymysql
from pymysql.cursors import DictCursor


class Unavailable(Exception):
    """The database could not be asked."""


class Connection:
    """One connection, for one request."""

    def __init__(self, url):
        parts = urlsplit(url)
        # The server must show a certificate of this authority, made for the address that was asked.
        authority = parse_qs(parts.query).get("ssl_ca")
        self.db = pymysql.connect(
            host=parts.hostname,
            port=parts.port or 3306,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            database=parts.path.lstrip("/"),
            ssl=ssl.create_default_context(cafile=authority[0]) if authority else None,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=3,
            read_timeout=10,
            write_timeout=10,
            cursorclass=DictCursor,
        )

    def all(self, sql, values=()):
        with self.db.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()

    def one(self, sql, values=()):
        return self.all(sql, values)[0]

    def run(self, sql, values=()):
        with self.db.cursor() as cursor:
            cursor.execute(sql, values)

    def server(self):
        """The name of the server that answers."""
        return self.one("SELECT @@hostname AS name")["name"]

    def is_read_only(self):
        return bool(self.one("SELECT @@global.read_only AS yes")["yes"])


@contextlib.contextmanager
def connect(variable):
    try:
        connection = Connection(os.environ[variable])
    except (KeyError, OSError, pymysql.Error) as error:
        raise Unavailable(f"{variable}: {error}") from error
    try:
        yield connection
    except pymysql.Error as error:
        raise Unavailable(f"{variable}: {error}") from error
    finally:
        with contextlib.suppress(pymysql.Error):
            connection.db.close()


def reading():
    """A connection to the server that is read from."""
    return connect("DATABASE_READ_URL")


def writing():
    """A connection to the server that is written to."""
    return connect("DATABASE_WRITE_URL")
