"""openai-python, its synchronous client: `openai_sync.py URL`."""
import sys

from openai import OpenAI

import story

CLIENT = OpenAI(base_url=sys.argv[1] + "/v1", api_key="any")


class Client:
    def chat(self, prompt, **options):
        timeout = options.pop("timeout", None)
        client = CLIENT.with_options(timeout=timeout, max_retries=0) if timeout else CLIENT
        options = {"max_tokens": 16, **options}
        messages = [{"role": "user", "content": prompt}]
        return client.chat.completions.create(model="default_model", messages=messages, **options)

    def plain(self, prompt, **options):
        return self.chat(prompt, **options).choices[0].message.content

    def stream(self, prompt, **options):
        with self.chat(prompt, stream=True, **options) as chunks:
            for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content


story.go(Client(), "openai")
