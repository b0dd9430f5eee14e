"""What every Python client goes through: it tells what it saw as one line of JSON, and judges nothing."""
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

PATIENCE = 30


class Statuses(logging.Handler):
    """The statuses of the HTTP answers, as the libraries below the clients log them."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.seen = []
        for name in ("httpx", "httpx2"):
            logging.getLogger(name).setLevel(logging.INFO)
            logging.getLogger(name).addHandler(self)

    def emit(self, record):
        text = record.getMessage()
        if text.startswith("HTTP Request") and '"HTTP/1.1 ' in text:
            self.seen.append(int(text.split('"HTTP/1.1 ')[1].split()[0]))


STATUSES = Statuses()


def chain(error):
    """The classes of an exception and of those behind it."""
    while error is not None:
        yield type(error).__name__
        error = error.__cause__ or error.__context__


def part(act):
    """What came of one part: texts, or the exception after them; and the statuses that were answered."""
    start, before = time.monotonic(), len(STATUSES.seen)
    told, texts = {}, []
    try:
        for text in act():
            texts.append(text)
    except Exception as error:  # whatever a client raises is what is to be told
        told["error"] = {
            "classes": list(chain(error)),
            "status": getattr(error, "status_code", None),
            "message": str(error)[:300],
        }
    seconds = round(time.monotonic() - start, 3)
    return {"text": "".join(texts), "pieces": len(texts), "http": STATUSES.seen[before:], "seconds": seconds, **told}


def overload(client):
    """Two requests have the server, one waits, and one is refused and has to come again."""
    before = len(STATUSES.seen)
    blockers = [client.stream(f"endless {number}", max_tokens=100_000) for number in (1, 2)]
    for blocker in blockers:
        next(blocker)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(part, lambda word=word: [client.plain(word)]) for word in ("overload a", "overload b")]
        deadline = time.monotonic() + PATIENCE
        while 503 not in STATUSES.seen[before:] and time.monotonic() < deadline and not all(one.done() for one in both):
            time.sleep(0.01)
        refused = 503 in STATUSES.seen[before:]
        for blocker in blockers:
            blocker.close()
        return {"refused": refused, "both": [one.result() for one in both]}


def impatient(client):
    """A client that gives up early; and one that asks after it."""
    given_up = part(lambda: [client.plain("much", max_tokens=3_000, timeout=0.5)])
    return {"given_up": given_up, "next": part(lambda: [client.plain("after it")])}


def go(client, package):
    """Goes through all of it; the server goes down at the requests that say so."""
    told = {
        "version": version(package),
        "plain": part(lambda: [client.plain("hello")]),
        "stream": part(lambda: client.stream("hello")),
        "plain_crash": part(lambda: [client.plain("crash-plain")]),
        "plain_uncut": part(lambda: [client.plain("crash-plain")]),
        "greedy_crash": part(lambda: client.stream("crash-greedy")),
        "greedy_uncut": part(lambda: client.stream("crash-greedy")),
        "sampled_crash": part(lambda: client.stream("crash-sampled", temperature=0.8)),
        "held": part(lambda: [client.plain("held")]),
    }
    told["overload"] = overload(client)
    told["impatient"] = impatient(client)
    print(json.dumps(told), flush=True)


class Loop:
    """An event loop in a thread of its own, for clients that have an asynchronous side."""

    def __init__(self):
        import asyncio

        self.asyncio, self.loop = asyncio, asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def run(self, coroutine):
        return self.asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE * 2)

    def each(self, items):
        """The items of an asynchronous generator, one after the other."""
        try:
            while True:
                try:
                    yield self.run(anext(items))
                except StopAsyncIteration:
                    return
        finally:
            self.run(items.aclose())
