"""openai-python, its asynchronous client: `openai_async.py URL`."""
import sys

from openai import AsyncOpenAI

import story

CLIENT = AsyncOpenAI(base_url=sys.argv[1] + "/v1", api_key="any")


async def chat(prompt, **options):
    timeout = options.pop("timeout", None)
    client = CLIENT.with_options(timeout=timeout, max_retries=0) if timeout else CLIENT
    options = {"max_tokens": 16, **options}
    messages = [{"role": "user", "content": prompt}]
    return await client.chat.completions.create(model="default_model", messages=messages, **options)


async def pieces(prompt, **options):
    async with await chat(prompt, stream=True, **options) as chunks:
        async for chunk in chunks:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content


class Client:
    loop = story.Loop()

    def plain(self, prompt, **options):
        return self.loop.run(chat(prompt, **options)).choices[0].message.content

    def stream(self, prompt, **options):
        return self.loop.each(pieces(prompt, **options))


story.go(Client(), "openai")
