"""Brings the tables to what this release needs. foobar runs it once per release, on one host, before any host switches;
it is safe to run again."""

import database

TABLES = [
    """
    CREATE TABLE IF NOT EXISTS entries (
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        name VARCHAR(60) NOT NULL,
        message VARCHAR(500) NOT NULL,
        web VARCHAR(63) NOT NULL,
        created TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
    ) CHARACTER SET utf8mb4
    """,
    """
    CREATE TABLE IF NOT EXISTS canaries (
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        token VARCHAR(64) NOT NULL,
        born TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
    ) CHARACTER SET ascii
    """,
]

with database.writing() as db:
    for table in TABLES:
        db.run(table)
    print(f"the tables on {db.server()} are up to date")
