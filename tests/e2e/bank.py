"""A bank that never closes: transfers between accounts, each with a line in a ledger, by several tellers at once.

    bank.py ENV PREFIX SERVER[:PORT],… TELLERS

The credentials come from the app's environment file. Each transfer has a number that is never used again: one whose answer
did not come may be there or not, one that was acknowledged must be. A teller writes its numbers down once they are
acknowledged, in PREFIX.N, with the time of it by the machine's own clock. It ends when PREFIX.stop is there.
"""
import os
import ssl
import sys
import threading
import time
from urllib.parse import parse_qs, unquote, urlsplit

import pymysql

env, prefix, servers, tellers = sys.argv[1], sys.argv[2], sys.argv[3].split(","), int(sys.argv[4])
url = next(line.split("=", 1)[1].strip().strip('"') for line in open(env) if line.startswith("DATABASE_WRITE_URL="))
parts = urlsplit(url)
authority = parse_qs(parts.query)["ssl_ca"][0]


def connect(server):
    host, _, port = server.partition(":")
    return pymysql.connect(
        host=host, port=int(port or 3306), user=unquote(parts.username), password=unquote(parts.password),
        database=parts.path[1:], ssl=ssl.create_default_context(cafile=authority), connect_timeout=2, read_timeout=20,
        write_timeout=20, autocommit=False,
    )


def teller(name):
    at, db, number = 0, None, 0
    with open(f"{prefix}.{name}", "w", buffering=1) as acknowledged:
        while not os.path.exists(f"{prefix}.stop"):
            number += 1
            try:
                if db is None:
                    db = connect(servers[at % len(servers)])
                with db.cursor() as cursor:
                    giver, taker = (number * 7 + name) % 10, (number * 3 + name * 5 + 1) % 10
                    for account, change in sorted([(giver, -1), (taker, 1)]):
                        cursor.execute("UPDATE bank_accounts SET balance = balance + %s WHERE id = %s", (change, account))
                    cursor.execute(
                        "INSERT INTO bank_ledger (teller, number, giver, taker) VALUES (%s, %s, %s, %s)",
                        (name, number, giver, taker),
                    )
                db.commit()
                acknowledged.write(f"{number} {time.monotonic():.4f}\n")
            except Exception as error:
                with open(f"{prefix}.errors", "a") as errors:
                    errors.write(f"{time.monotonic():.4f} {name} {number} {type(error).__name__} {error}\n")
                try:
                    db.close()
                except Exception:
                    pass
                db, at = None, at + 1
                time.sleep(0.01)
            time.sleep(0.02)


threads = [threading.Thread(target=teller, args=(n,)) for n in range(tellers)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
