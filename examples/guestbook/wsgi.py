"""A guestbook in one page: what visitors wrote, and which servers were at work to show it.

foobar tells it where to listen (LISTEN), which host it is on (HOST), and how to reach the database: DATABASE_WRITE_URL leads
to the primary, DATABASE_READ_URL to a replica, both over TLS with the authority in `ssl_ca`.
"""

import os
import re
import time

from flask import Flask, abort, redirect, render_template, request

import database

app = Flask(__name__, static_folder="public", static_url_path="/assets")
app.config["MAX_CONTENT_LENGTH"] = 64 * 1024

GREETING = os.environ.get("GREETING", "Welcome")
HOST = os.environ.get("HOST", "this computer")
NAME_MOST, MESSAGE_MOST, SHOWN = 60, 500, 30


@app.get("/")
def index():
    began = time.perf_counter()
    with database.reading() as db:
        entries = db.all(
            "SELECT name, message, created, web FROM entries ORDER BY id DESC LIMIT %s", [SHOWN]
        )
        total = db.one("SELECT COUNT(*) AS n FROM entries")["n"]
        reader = db.server()
    return render_template(
        "index.html",
        greeting=GREETING,
        entries=entries,
        total=total,
        web=HOST,
        reader=reader,
        millis=round((time.perf_counter() - began) * 1000, 1),
        name_most=NAME_MOST,
        message_most=MESSAGE_MOST,
    )


@app.post("/sign")
def sign():
    name = request.form.get("name", "").strip()[:NAME_MOST] or "Someone"
    message = request.form.get("message", "").strip()[:MESSAGE_MOST]
    if not message:
        abort(400, "There was nothing in the message.")
    with database.writing() as db:
        db.run("INSERT INTO entries (name, message, web) VALUES (%s, %s, %s)", [name, message, HOST])
    # 303: a reload of the page that follows does not sign again.
    return redirect("/", code=303)


@app.get("/healthz")
def healthz():
    """The process is alive. The database is left out on purpose: when it is away, every server would be taken out."""
    return {"status": "ok", "host": HOST}


@app.get("/readyz")
def readyz():
    """Reading and writing both work: the writer is asked whether it may write."""
    answer = {"host": HOST}
    with database.reading() as db:
        answer["read"] = db.server()
    with database.writing() as db:
        answer["write"] = db.server()
        if db.is_read_only():
            return answer | {"status": "the primary is read-only"}, 503
    return answer | {"status": "ok"}


@app.post("/canary")
def sing():
    """Keeps a token, for whoever wants to see that what is written can be read: `foobar verify` does."""
    token = request.form.get("token", "")
    if not re.fullmatch("[a-z0-9-]{1,64}", token):
        abort(400, "A token has 1 to 64 small letters, digits and -.")
    with database.writing() as db:
        db.run("INSERT INTO canaries (token) VALUES (%s)", [token])
        db.run("DELETE FROM canaries WHERE born < NOW() - INTERVAL 10 MINUTE")
    return "", 204


@app.get("/canary")
def heard():
    """The tokens of the last minutes, as the server that is read from knows them."""
    with database.reading() as db:
        tokens = db.all("SELECT token FROM canaries ORDER BY id DESC LIMIT 50")
    return "".join(f"{row['token']}\n" for row in tokens), {"Content-Type": "text/plain", "Cache-Control": "no-store"}


@app.errorhandler(400)
def bad(error):
    return render_template("error.html", title="Not signed", text=error.description), 400


@app.errorhandler(404)
def missing(_):
    return render_template("error.html", title="No such page", text="The guestbook has one page only."), 404


@app.errorhandler(database.Unavailable)
def unavailable(error):
    app.logger.error("%s", error)
    text = "The database does not answer. Please try again in a moment."
    return render_template("error.html", title="Back soon", text=text), 503
