"""openai-python while a real server is killed: `openai_real.py URL`.

Says `kill` on a line of its own when it wants that, and at the end what it saw, as one line of JSON.
"""
import json
import sys
from concurrent.futures import ThreadPoolExecutor

from openai import OpenAI

import story

CLIENT = OpenAI(base_url=sys.argv[1] + "/v1", api_key="any")
LONG = 1_000


def ask(prompt, **options):
    options = {"model": "default_model", "prompt": prompt, "temperature": 0, **options}
    return CLIENT.completions.create(**options)


def plain(prompt, **options):
    return ask(prompt, **options).choices[0].text


def stream(prompt, **options):
    with ask(prompt, stream=True, **options) as chunks:
        for chunk in chunks:
            if chunk.choices and chunk.choices[0].text:
                yield chunk.choices[0].text


def kill():
    print("kill", flush=True)


def killed_after_the_first(pieces):
    for number, piece in enumerate(pieces):
        if number == 0:
            kill()
        yield piece


def attempts_of_a_plain_one(prompt, **options):
    raw = CLIENT.completions.with_raw_response.create(
        model="default_model", prompt=prompt, temperature=0, **options
    )
    return {"text": raw.parse().choices[0].text, "attempts": raw.headers["x-mlx-tree-attempts"]}


told = {
    "stream_uncut": story.part(lambda: stream("Tell me everything", max_tokens=LONG)),
    "plain_uncut": story.part(lambda: [plain("Tell me more", max_tokens=LONG)]),
}
# Both are at the server when it is killed.
with ThreadPoolExecutor(1) as pool:
    whole = pool.submit(attempts_of_a_plain_one, "Tell me more", max_tokens=LONG)
    told["stream_killed"] = story.part(
        lambda: killed_after_the_first(stream("Tell me everything", max_tokens=LONG))
    )
    told["plain_killed"] = whole.result()
told["sampled_killed"] = story.part(
    lambda: killed_after_the_first(stream("Tell me everything", max_tokens=20 * LONG, temperature=0.9))
)
told["held"] = story.part(lambda: [plain("Are you there?", max_tokens=8)])
told["http"] = story.STATUSES.seen
print(json.dumps(told), flush=True)
